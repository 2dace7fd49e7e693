package nn

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
)

// layer is what a fold needs to know of a layer of the built-in kinds.
type layer struct {
	layout       fuse.Layout
	axes         int // spatial axes of the output
	groups       int
	weight, bias **tensor.Dense
}

// layerOf knows the types of this package alone: one that embeds them, or shares a name with them, may
// compute something else.
func layerOf(m Module) (layer, bool) {
	switch m := m.(type) {
	case *Conv1d:
		return (*Conv)(m).layer(1), true
	case *Conv2d:
		return (*Conv)(m).layer(2), true
	case *Conv3d:
		return (*Conv)(m).layer(3), true
	case *ConvTranspose1d:
		return (*ConvTranspose)(m).layer(1), true
	case *ConvTranspose2d:
		return (*ConvTranspose)(m).layer(2), true
	case *ConvTranspose3d:
		return (*ConvTranspose)(m).layer(3), true
	case *Linear:
		return layer{fuse.Linear, 0, 1, &m.Weight, &m.Bias}, true
	}
	return layer{}, false
}

func (c *Conv) layer(axes int) layer {
	return layer{fuse.Conv, axes, groupsOf(c.Groups), &c.Weight, &c.Bias}
}

func (c *ConvTranspose) layer(axes int) layer {
	return layer{fuse.ConvTranspose, axes, groupsOf(c.Groups), &c.Weight, &c.Bias}
}

// groupsOf is the number of groups a Groups field stands for.
func groupsOf(field int) int {
	if field == 0 {
		return 1
	}
	return field
}

// checkShapes wants shapes of a weight and a bias that the layer can run with; nil is for one that is not there.
func (l layer) checkShapes(weight, bias []int) error {
	if weight == nil {
		return nil
	}
	if rank := 2 + l.axes; len(weight) != rank {
		return fmt.Errorf("weight %v has %d axes, want %d", weight, len(weight), rank)
	}
	v, err := l.layout.View(fuse.After, weight, l.groups)
	if err != nil {
		return err
	}
	if bias != nil && !slices.Equal(bias, []int{v.NumChannels()}) {
		return fmt.Errorf("weight %v has %d output channels, bias is %v", weight, v.NumChannels(), bias)
	}
	return nil
}
