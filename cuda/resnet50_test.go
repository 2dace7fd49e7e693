//go:build cuda && cgo

package cuda

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// resNet50 are the shapes of its convolutions, each followed by a batch normalization.
func resNet50() (shapes [][]int) {
	shapes = append(shapes, []int{64, 3, 7, 7})
	in := 64
	for stage, blocks := range []int{3, 4, 6, 3} {
		width := 64 << stage
		for block := range blocks {
			shapes = append(shapes, []int{width, in, 1, 1}, []int{width, width, 3, 3}, []int{4 * width, width, 1, 1})
			if block == 0 {
				shapes = append(shapes, []int{4 * width, in, 1, 1})
			}
			in = 4 * width
		}
	}
	return shapes
}

const resNet50ConvWeights = 23_454_912 // as torchvision counts them

func TestResNet50Shapes(t *testing.T) {
	elems := 0
	for _, s := range resNet50() {
		n, _ := fuse.NumElems(s)
		elems += n
	}
	if len(resNet50()) != 53 || elems != resNet50ConvWeights {
		t.Errorf("%d layers with %d weights, want 53 with %d", len(resNet50()), elems, resNet50ConvWeights)
	}
}
