package nn_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/nn"
)

func dense(shape []int, x ...float32) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
}

// network is Conv2d → BatchNorm2d → ReLU → Flatten → Linear → BatchNorm1d.
func network() *nn.Sequential {
	return nn.NewSequential(
		&nn.Conv2d{Weight: dense([]int{2, 1, 1, 2}, 1, 2, 3, 4)}, // [Cout, Cin, kH, kW]
		&nn.BatchNorm2d{
			Gamma: dense([]int{2}, 4, 3), Beta: dense([]int{2}, 1, 0),
			Mean: dense([]int{2}, 1, 2), Var: dense([]int{2}, 4, 9),
		},
		&nn.ReLU{},
		&nn.Flatten{},
		&nn.Linear{Weight: dense([]int{1, 4}, 1, 1, 1, 1), Bias: dense([]int{1}, 3)}, // [out, in]
		&nn.BatchNorm1d{Mean: dense([]int{1}, 1), Var: dense([]int{1}, 0.25)},
	)
}

func show(m nn.Module) {
	y, err := m.Forward(dense([]int{1, 1, 1, 3}, 1, 0, 1)) // [N, C, H, W]
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("output", y.Data())
}

func ExampleFuseBN() {
	model := network()
	show(model)
	fused, plan, err := nn.FuseBN(model, nn.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range plan.Steps {
		fmt.Printf("%s %s went into %s %s\n", s.Norm.Kind, s.Norm.Name, s.Layer.Kind, s.Layer.Name)
	}
	show(fused)
	conv := model.Child("0").(*nn.Conv2d)
	fmt.Println("weight", conv.Weight.Data(), "bias", conv.Bias.Data())
	// Output:
	// output [18]
	// BatchNorm2d 1 went into Conv2d 0
	// BatchNorm1d 5 went into Linear 4
	// output [18]
	// weight [2 4 3 4] bias [-1 -2]
}

// Scale multiplies every element by one number.
type Scale struct{ By float64 }

func (s *Scale) Forward(x *tensor.Dense) (*tensor.Dense, error) { return x.MulScalar(s.By, true) }

// A norm of one channel after a Scale becomes part of it when it only scales.
func ExampleFuseBN_handler() {
	fold := func(layer nn.Module, norm nn.Norm) (nn.Module, error) {
		params, err := norm.Params()
		if err != nil {
			return nil, err
		}
		own, err := params.Affine()
		if err != nil {
			return nil, err
		}
		if own.Channels() != 1 || own.HasShift() {
			return nil, fmt.Errorf("this norm does more than scale")
		}
		return &Scale{By: own.Scale[0] * layer.(*Scale).By}, nil
	}
	model := nn.NewSequential(
		&Scale{By: 5},
		&nn.BatchNorm2d{
			Mean: tensor.New(tensor.WithBacking([]float64{0}), tensor.WithShape(1)),
			Var:  tensor.New(tensor.WithBacking([]float64{0.25}), tensor.WithShape(1)),
		},
	)
	fused, _, err := nn.FuseBN(model, nn.Options{Handlers: map[string]nn.BNFuser{"Scale": nn.BNFuserFunc(fold)}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", fused)
	// Output: &{By:10}
}

func ExampleFuseBN_layers() {
	model := network()
	_, plan, err := nn.FuseBN(model, nn.Options{Layers: []string{"Linear"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range plan.Steps {
		fmt.Printf("%s %s went into %s %s\n", s.Norm.Kind, s.Norm.Name, s.Layer.Kind, s.Layer.Name)
	}
	for _, s := range plan.Skips {
		fmt.Printf("%s %s stays: %s: %s\n", s.Norm.Kind, s.Norm.Name, s.Reason, s.Detail)
	}
	for _, c := range model.Children {
		fmt.Printf("%s %T\n", c.Name, c.Module)
	}
	// Output:
	// BatchNorm1d 5 went into Linear 4
	// BatchNorm2d 1 stays: layer type not selected: Conv2d "0" runs right before it
	// 0 *nn.Conv2d
	// 1 *nn.BatchNorm2d
	// 2 *nn.ReLU
	// 3 *nn.Flatten
	// 4 *nn.Linear
}

func ExampleFuseBN_copy() {
	model := network()
	fused, _, err := nn.FuseBN(model, nn.Options{Copy: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(model.Children), "modules before,", len(fused.(*nn.Sequential).Children), "after")
	show(model)
	show(fused)
	// Output:
	// 6 modules before, 4 after
	// output [18]
	// output [18]
}

// A network of nested Sequentials: its file is loaded, folded, and saved without the norms.
func ExampleLoadFile() {
	norm2d := func() *nn.BatchNorm2d { return &nn.BatchNorm2d{Eps: 1e-5} }
	model := &nn.Sequential{Children: []nn.Child{
		{Name: "features", Module: nn.NewSequential(
			&nn.Conv2d{Padding: []int{1}},
			nn.NewSequential(norm2d(), &nn.ReLU{}),
			nn.NewSequential(&nn.Conv2d{Stride: []int{2}}),
			norm2d(),
			&nn.ReLU{},
			&nn.ConvTranspose2d{Stride: []int{2}},
			norm2d(),
			&nn.AvgPool2d{Kernel: []int{2}},
			&nn.Flatten{},
		)},
		{Name: "head", Module: nn.NewSequential(
			&nn.Linear{}, &nn.BatchNorm1d{Eps: 1e-5}, &nn.Dropout{}, &nn.ReLU{}, &nn.Linear{},
		)},
	}}
	if _, err := nn.LoadFile("../testdata/qsparse_net.safetensors", model, nn.LoadOptions{}); err != nil {
		log.Fatal(err)
	}
	fused, plan, err := nn.FuseBN(model, nn.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range plan.Steps {
		fmt.Println(s.Norm.Name, "went into", s.Layer.Name)
	}
	folder, err := os.MkdirTemp("", "nn")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "fused.safetensors")
	if err := nn.SaveFile(path, fused, nn.SaveOptions{}); err != nil {
		log.Fatal(err)
	}
	_, err = nn.LoadFile(path, network(), nn.LoadOptions{})
	fmt.Println("another network:", errors.Is(err, nn.ErrKeys))
	// Output:
	// features.1.0 went into features.0
	// features.3 went into features.2.0
	// features.6 went into features.5
	// head.1 went into head.0
	// another network: true
}
