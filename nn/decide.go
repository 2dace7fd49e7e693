package nn

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// decider walks a model in the order it runs, and decides for each norm. It changes nothing: handlers work
// on copies, and what is to be removed and replaced is written down by place.
type decider struct {
	survey   *survey
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
	switch norm, isNorm := m.(Norm); {
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

// isLeaf reports whether the walk ends at m. What a selected layer is made of is its handler's affair.
func (d *decider) isLeaf(m Module) bool {
	_, isNorm := m.(Norm)
	return isNorm || d.selected[kindOf(m)]
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

// norm adds a step or a skip to the plan and reports whether the norm goes.
func (d *decider) norm(n Norm, info fuse.NormInfo, at place, last *link) (bool, error) {
	if p, err := n.Params(); err == nil {
		info.Channels, info.Eps = len(p.Mean), p.Eps
	}
	var before fuse.LayerInfo
	if last != nil && d.handlers[last.info.Kind] != nil {
		before = last.info
	}
	own, err := d.join(last, n)
	var refusal *fuse.Refusal
	if errors.As(err, &refusal) {
		d.plan.Skips = append(d.plan.Skips, fuse.Skip{Norm: info, Layer: before, Reason: refusal.Reason, Detail: refusal.Detail})
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("module %q: %w", info.Name, err)
	}
	d.plan.Steps = append(d.plan.Steps, fuse.Step{Norm: info, Layer: before, Direction: fuse.After, Affine: own})
	d.removed[at] = true
	return true, nil
}

// join folds a norm into the module it reads, if that is a layer only this norm reads:
//
//	layer of a selected type, used once → norm with constant parameters
//
// It returns the norm's own map. A [*fuse.Refusal] keeps the norm; other errors end everything.
func (d *decider) join(last *link, n Norm) (fuse.Affine, error) {
	if last == nil {
		return fuse.Affine{}, fuse.Refuse(fuse.ReasonNoLayer, "no module is known to run right before it")
	}
	kind := last.info.Kind
	handler := d.handlers[kind]
	switch {
	case last.uses > 1 && (isContainer(last.module) || d.selected[kind]):
		return fuse.Affine{}, fuse.Refuse(fuse.ReasonLayerShared, "%s %q is used in %d places", kind, last.info.Name, last.uses)
	case handler == nil:
		return fuse.Affine{}, fuse.Refuse(fuse.ReasonNoLayer, "%s %q runs right before it", kind, last.info.Name)
	case !d.selected[kind]:
		return fuse.Affine{}, fuse.Refuse(fuse.ReasonNotSelected, "%s %q runs right before it", kind, last.info.Name)
	}
	own, err := affineOf(n)
	if err != nil {
		return own, err
	}
	if _, ok := handler.(pairFuser); ok {
		return own, d.fold(last, n, own)
	}
	return own, d.handle(last, n, handler)
}

// fold adds the norm to the fold of a layer of the built-in kinds.
func (d *decider) fold(last *link, n Norm, own fuse.Affine) error {
	if last.fold != nil {
		return last.fold.add(n, own)
	}
	m := last.module
	if _, ok := d.replaced[last.at]; ok { // a handler may have returned a module that is in use
		var err error
		if m, err = copyModule(m); err != nil {
			return err
		}
	}
	f, err := newFold(m)
	if err == nil {
		err = f.add(n, own)
	}
	if err != nil {
		return err
	}
	if m != last.module {
		d.replaced[last.at] = m
	}
	f.name = last.info.Name
	last.module, last.fold = m, f
	d.folds = append(d.folds, f)
	return nil
}

// handle lets a handler of the caller's fold the norm into a copy of the layer.
func (d *decider) handle(last *link, n Norm, handler BNFuser) error {
	layer, err := copyModule(last.module)
	if err != nil {
		return err
	}
	fused, err := handler.Fuse(layer, n)
	if err != nil {
		return fmt.Errorf("handler of %s: %w", last.info.Kind, err)
	}
	if isNil(fused) {
		return fmt.Errorf("handler of %s returned nothing: %w", last.info.Kind, ErrNilModule)
	}
	d.replaced[last.at] = fused
	last.module, last.info.Kind = fused, kindOf(fused)
	return nil
}
