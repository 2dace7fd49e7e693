package nn

import (
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// BNFuser folds a norm into the layer before it.
type BNFuser interface {
	// Fuse returns the fused layer, which takes the place of both. The layer it is given is a copy: it
	// may change it and return it, or return another module. The norm is the model's own and must stay
	// as it is. A [*fuse.Refusal] keeps the pair and goes into the plan; any other error stops [FuseBN]. A pair may
	// come a second time, where another layer's weights turned out to become infinite.
	Fuse(layer Module, norm Norm) (Module, error)
}

// BNFuserFunc is a function that is a [BNFuser].
type BNFuserFunc func(layer Module, norm Norm) (Module, error)

// Fuse calls f.
func (f BNFuserFunc) Fuse(layer Module, norm Norm) (Module, error) { return f(layer, norm) }

// FusePair folds one norm into one layer of the built-in kinds and returns a new layer; both arguments
// stay as they are. The error is a [*fuse.Refusal] where the pair cannot be folded. It is what FuseBN does
// to a pair, for handlers that want to do more besides.
func FusePair(layer Module, norm Norm) (Module, error) {
	if isNil(layer) || isNil(norm) {
		return nil, fuse.Refuse(fuse.ReasonUnsupportedOp, "the layer or the norm is nil")
	}
	if _, ok := asNorm(norm); !ok {
		return nil, fuse.Refuse(fuse.ReasonUnsupportedOp, "%T embeds a norm, and may do something else", norm)
	}
	out, err := copyModule(layer)
	if err != nil {
		return nil, err
	}
	f, err := newFold(out, true)
	if err != nil {
		return nil, err
	}
	own, err := affineOf(norm)
	if err != nil {
		return nil, err
	}
	if err := f.add(norm, own); err != nil {
		return nil, err
	}
	engine := host.New()
	defer engine.Close()
	if err := scale(engine, []*fold{f}); err != nil {
		return nil, err
	}
	f.write()
	return out, nil
}

// pairFuser is FusePair as a handler. FuseBN knows it and takes its multiplications together.
type pairFuser struct{}

func (pairFuser) Fuse(layer Module, norm Norm) (Module, error) { return FusePair(layer, norm) }

// builtIn names the layer types that need no handler.
var builtIn = []string{
	"Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Linear",
}
