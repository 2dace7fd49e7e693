package nn

import (
	"reflect"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// decider walks a model in the order it runs, and decides for each norm. It changes nothing: handlers work
// on copies, and what is to be removed and replaced is written down by place.
type decider struct {
	survey   *survey
	careful  map[string]bool // layers of which a weight became infinite when all their norms were folded
	selected map[string]bool
	handlers map[string]BNFuser

	plan     fuse.Plan
	folds    []*fold // the layers of built-in kinds that take norms in, in model order
	removed  map[place]bool
	replaced map[place]Module // what handlers returned
	walked   map[identity]bool
	modules  int // how many modules the walk has met
}

// place is a position in a Sequential or a DataParallel, which are the only modules whose inside is known
// to run in order.
type place struct {
	parent Module // *Sequential or *DataParallel
	index  int
}

// flow is what runs one after the other: last is what the next module reads the output of.
type flow struct {
	last *link
}

// link is a module in a flow, and the fold of the norms behind it, if there is one yet.
type link struct {
	module Module
	info   fuse.LayerInfo
	at     place
	uses   int
	fold   *fold
}

// inside walks the children of m. A flow goes through a Sequential and a DataParallel; other modules
// connect their children in a way that is not known, so each child has a flow of its own.
func (d *decider) inside(m Module, path string, f *flow) error {
	for i, s := range slotsOf(m) {
		if s.hidden {
			continue
		}
		at := place{m, i}
		through := f
		if !isContainer(m) {
			at, through = place{}, &flow{}
		}
		if err := d.visit(s.Module, join(path, s.Name), at, through); err != nil {
			return err
		}
	}
	return nil
}

func isContainer(m Module) bool {
	switch m.(type) {
	case *Sequential, *DataParallel:
		return true
	}
	return false
}

// isEmpty reports whether m is a Sequential or a wrapper that holds nothing but such. It will disappear.
func isEmpty(m Module) bool {
	return isContainer(m) && !slices.ContainsFunc(slotsOf(m), func(s slot) bool { return !isEmpty(s.Module) })
}

// onlyChild is the one child of a Sequential that is not empty. It will take the Sequential's place.
func onlyChild(m Module) (Child, bool) {
	s, ok := m.(*Sequential)
	if !ok {
		return Child{}, false
	}
	full := slices.DeleteFunc(slices.Clone(s.Children), func(c Child) bool { return isEmpty(c.Module) })
	if len(full) != 1 {
		return Child{}, false
	}
	return full[0], true
}

// visit decides about the module at a place and what is in it.
func (d *decider) visit(m Module, path string, at place, f *flow) error {
	uses := d.survey.count(m)
	for only, ok := onlyChild(m); ok && uses > 1; only, ok = onlyChild(m) {
		m, path = only.Module, join(path, only.Name)
		uses += d.survey.count(m) - 1
	}
	l := &link{module: m, info: fuse.LayerInfo{Name: path, Kind: kindOf(m)}, at: at, uses: uses}
	index := d.modules
	d.modules++
	first := d.firstVisit(m)
	switch norm, isNorm := asNorm(m); {
	case isContainer(m) && (l.uses == 1 || isEmpty(m)):
		return d.inside(m, path, f)
	case isContainer(m):
		// All its uses run the same modules, so a pair within it is folded for all of them. What
		// stands before and behind it differs from use to use.
		f.last = l
		if first {
			return d.inside(m, path, &flow{})
		}
	case isNorm:
		folded, err := d.norm(norm, fuse.NormInfo{Name: path, Kind: kindOf(m), Index: index}, at, f.last)
		if !folded {
			f.last = l
		}
		return err
	default:
		f.last = l
		if first && !d.isLeaf(m) {
			return d.inside(m, path, f)
		}
	}
	return nil
}

// isLeaf reports whether the walk ends at m. What a layer is made of is its handler's affair; the built-in
// layers are made of no modules, and another type of the same name may be.
func (d *decider) isLeaf(m Module) bool {
	_, isNorm := asNorm(m)
	_, isBuiltIn := d.handlers[kindOf(m)].(pairFuser)
	return isNorm || d.selected[kindOf(m)] && !isBuiltIn
}

func (d *decider) firstVisit(m Module) bool {
	id, ok := identityOf(reflect.ValueOf(m))
	if !ok {
		return true
	}
	first := !d.walked[id]
	d.walked[id] = true
	return first
}
