package nn

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// Options says what [FuseBN] folds and how. The zero value folds all it can, in place, on the CPU.
type Options struct {
	// Layers names the layer types to fold into. Nil means every type that has a handler: Conv1d,
	// Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Linear, and those of Handlers.
	Layers []string

	// Handlers adds fusers to the built-in ones, or replaces them, by the name of the layer's type.
	Handlers map[string]BNFuser

	// Log gets a line for each fold; nil means none.
	Log *slog.Logger

	// Copy leaves the model as it is, bit for bit, and works on a deep copy. A module that has unexported
	// fields with pointers needs a CopyModule method for it.
	Copy bool

	// Engine multiplies the weights; nil means the CPU. It stays open.
	Engine fuse.Engine
}

// FuseBN folds the norms of a model into the layers before them. It returns the model, or its copy, and
// the plan: a step for every norm that was folded and a skip, with the reason, for every other, in the
// order the model holds them. The model returned is another object than the one given when Options.Copy
// is set, and when the one given is a Sequential of which a single module is left.
//
// A norm that cannot be folded is not an error. Errors are an unknown layer type ([ErrNoHandler]), a model
// that cannot be walked or copied, a handler's and the engine's; after any of them the model is what it
// was. The model must not be used by others meanwhile.
func FuseBN(model Module, o Options) (Module, fuse.Plan, error) {
	out, plan, err := fuseBN(model, o)
	if err != nil {
		return nil, fuse.Plan{}, fmt.Errorf("nn: %w", err)
	}
	return out, plan, nil
}

func fuseBN(model Module, o Options) (Module, fuse.Plan, error) {
	late := &lateTensors{}
	if o.Copy {
		var err error
		if model, late, err = copyModuleLate(model); err != nil {
			return nil, fuse.Plan{}, err
		}
	}
	d, err := o.decideAndScale(model)
	if err != nil {
		return nil, fuse.Plan{}, err
	}
	for _, f := range d.folds {
		f.write()
	}
	late.finish()
	r := rebuilder{d, map[identity]Module{}}
	if out := r.rebuild(model); out != nil {
		model = out
	}
	if o.Log != nil {
		d.log(o.Log)
	}
	return model, d.plan, nil
}

// decideAndScale decides, and has the engine make the new weights. Where a weight becomes infinite it decides
// again, and looks at that layer's weights first; each round settles at least one layer.
func (o Options) decideAndScale(model Module) (*decider, error) {
	engine := o.Engine
	if engine == nil {
		engine = host.New()
		defer engine.Close()
	}
	careful := map[string]bool{}
	for {
		d, err := o.decider()
		if err != nil {
			return nil, err
		}
		d.careful = careful
		if d.survey, err = surveyOf(model); err != nil {
			return nil, err
		}
		if err := d.visit(model, "", place{}, &flow{}); err != nil {
			return nil, err
		}
		if err := scale(engine, d.folds); err != nil {
			return nil, err
		}
		again := false
		for _, f := range d.folds {
			if f.overflows > 0 {
				careful[f.name], again = true, true
			}
		}
		if !again {
			return d, nil
		}
	}
}

// decider sorts out which layer types are selected and who handles them.
func (o Options) decider() (*decider, error) {
	d := &decider{
		selected: map[string]bool{},
		handlers: map[string]BNFuser{},
		removed:  map[place]bool{},
		replaced: map[place]Module{},
		walked:   map[identity]bool{},
	}
	for _, kind := range builtIn {
		d.handlers[kind] = pairFuser{}
	}
	for kind, h := range o.Handlers {
		if f, ok := h.(BNFuserFunc); ok && f == nil {
			h = nil
		}
		d.handlers[kind] = h
	}
	layers := o.Layers
	if layers == nil {
		layers = slices.Sorted(maps.Keys(d.handlers))
	}
	for _, kind := range layers {
		if d.handlers[kind] == nil {
			return nil, fmt.Errorf("layer type %q: %w", kind, ErrNoHandler)
		}
		d.selected[kind] = true
	}
	return d, nil
}

// log writes a line for each fold, and warns of weights too small for their type.
func (d *decider) log(to *slog.Logger) {
	for _, s := range d.plan.Steps {
		to.Info("norm folded", "norm", s.Norm.Name, "norm_kind", s.Norm.Kind, "layer", s.Layer.Name, "layer_kind", s.Layer.Kind)
	}
	for _, f := range d.folds {
		if f.vanished > 0 {
			to.Warn("weights became zero", "layer", f.name, "count", f.vanished)
		}
	}
}
