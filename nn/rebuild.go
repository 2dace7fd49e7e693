package nn

import "reflect"

// rebuilder puts a decider's decisions in place: it takes norms and emptied Sequentials out, puts what
// handlers returned in, and a Sequential's only child where the Sequential was. It cannot fail.
type rebuilder struct {
	*decider
	become map[identity]Module // what has become of a module, nil for one that is gone
}

// rebuild returns what has become of m: m itself, its only child, or nil.
func (r *rebuilder) rebuild(m Module) Module {
	id, ok := identityOf(reflect.ValueOf(m))
	if !ok {
		return r.inside(m)
	}
	out, ok := r.become[id]
	if !ok {
		out = r.inside(m)
		r.become[id] = out
	}
	return out
}

func (r *rebuilder) inside(m Module) Module {
	switch m := m.(type) {
	case *Sequential:
		return r.sequential(m)
	case *DataParallel:
		to := r.child(place{m, 0}, m.Module)
		if to == nil {
			return nil
		}
		m.Module = to
		return m
	}
	if r.isLeaf(m) {
		return m
	}
	for _, s := range slotsOf(m) {
		if s.hidden {
			continue
		}
		if to := r.rebuild(s.Module); to != nil && isContainer(s.Module) && to != s.Module && s.set != nil {
			s.set(to)
		}
	}
	return m
}

func (r *rebuilder) sequential(s *Sequential) Module {
	var kept []Child
	for i, c := range s.Children {
		if m := r.child(place{s, i}, c.Module); m != nil {
			kept = append(kept, Child{c.Name, m})
		}
	}
	s.Children = kept
	switch len(kept) {
	case 0:
		return nil
	case 1:
		return kept[0].Module
	}
	return s
}

func (r *rebuilder) child(at place, m Module) Module {
	if r.removed[at] {
		return nil
	}
	if to, ok := r.replaced[at]; ok {
		return to
	}
	return r.rebuild(m)
}
