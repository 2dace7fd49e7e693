package nn

import (
	"errors"
	"fmt"

	"github.com/bnfuse/bnfuse/fuse"
)

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
	f, err := newFold(m, d.careful[last.info.Name])
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
