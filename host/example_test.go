package host_test

import (
	"fmt"
	"log"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// A norm of two channels is folded into the 1x1 convolution in front of it, whose weight is [2, 3, 1, 1].
func Example() {
	norm := fuse.Norm{
		Gamma: []float64{3, 1}, Beta: []float64{1, 0},
		Mean: []float64{2, 0.5}, Var: []float64{3, 15}, Eps: 1,
	}
	affine, err := norm.Affine()
	if err != nil {
		log.Fatal(err) // a *fuse.Refusal: the norm stays
	}
	view, err := fuse.Conv.View(fuse.After, []int{2, 3, 1, 1}, 1)
	if err != nil {
		log.Fatal(err)
	}

	weight := elem.Encode(fuse.Float32, []float64{1, 2, 3, 4, 5, 6})
	segments := []fuse.Segment{{
		Piece: fuse.Piece{Elems: 6, DType: fuse.Float32},
		After: fuse.Factor{View: view, Scale: affine.Scale},
	}}
	if err := host.New().Scale(host.Wrap(weight), segments); err != nil {
		log.Fatal(err)
	}

	fmt.Println("weight", elem.Decode(fuse.Float32, weight))
	fmt.Println("bias  ", fuse.Fold{After: affine}.Bias([]float64{10, 20}, nil, 2))
	// Output:
	// weight [1.5 3 4.5 1 1.25 1.5]
	// bias   [13 4.875]
}
