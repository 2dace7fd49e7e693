package nn

import (
	"testing"

	"gorgonia.org/tensor"
)

// What a module cannot run on is an error that gives the shapes.
func TestForwardErrors(t *testing.T) {
	s := newSource(60)
	image, row, cube := s.dense(1, 2, 4, 4), s.dense(1, 2), s.dense(1, 2, 4)
	ints := tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]int{1, 2}))
	for _, c := range []struct {
		module Module
		input  *tensor.Dense
		want   string
	}{
		{&Conv2d{}, image, "nn: Conv2d: weight: it is nil, empty or a scalar"},
		{s.conv2d(2, 3, 1), nil, "nn: Conv2d: input: it is nil, empty or a scalar"},
		{s.conv2d(2, 3, 1), cube, "nn: Conv2d: input [1 2 4] has 3 axes, want 4 or more"},
		{s.conv2d(3, 3, 1), image, "nn: Conv2d: weight [3 3 1 1] in 1 groups does not suit input [1 2 4 4]"},
		{&Conv2d{Weight: s.dense(3, 2, 1, 1), Groups: 2}, image, "nn: Conv2d: weight [3 2 1 1] in 2 groups does not suit input [1 2 4 4]"},
		{&Conv2d{Weight: s.dense(3, 2, 1)}, image, "nn: Conv2d: weight [3 2 1] has 3 axes, want 4"},
		{&Conv2d{Weight: s.dense(3, 2, 1, 1), Bias: s.dense(2)}, image, "nn: Conv2d: weight [3 2 1 1] has 3 output channels, bias has 2"},
		{&Conv2d{Weight: s.dense(3, 2, 1, 1), Bias: s.dense(3, 1)}, image, "nn: Conv2d: bias: its shape is [3 1], want one axis"},
		{&Conv2d{Weight: s.dense(3, 2, 5, 1)}, image, "nn: Conv2d: a kernel of [5 1] does not fit on [4 4] with padding [0 0]"},
		{&Conv2d{Weight: s.dense(3, 2, 1, 1), Stride: []int{0}}, image, "nn: Conv2d: stride [0] has a value below 1"},
		{&Conv2d{Weight: s.dense(3, 2, 1, 1), Padding: []int{-1}}, image, "nn: Conv2d: padding [-1] has a value below 0"},
		{&Conv2d{Weight: s.dense(3, 2, 1, 1), Dilation: []int{1, 1, 1}}, image, "nn: Conv2d: dilation [1 1 1] has 3 values for 2 axes"},
		{&Conv2d{Weight: s.dense(3, 2, 1, 1), Groups: -1}, image, "nn: Conv2d: -1 groups, want 1 or more"},
		{&ConvTranspose2d{Weight: s.dense(2, 2, 1, 1), Groups: -2}, image, "nn: ConvTranspose2d: -2 groups, want 1 or more"},
		{&ConvTranspose2d{Weight: s.dense(3, 2, 1, 1)}, image, "nn: ConvTranspose2d: weight [3 2 1 1] in 1 groups does not suit input [1 2 4 4]"},
		{&ConvTranspose2d{Weight: s.dense(2, 2, 1, 1), OutputPadding: []int{1}}, image, "nn: ConvTranspose2d: output padding [1 1] is not smaller than stride [1 1] or dilation [1 1]"},
		{&ConvTranspose2d{Weight: s.dense(2, 2, 1, 1), Padding: []int{2}}, image, "nn: ConvTranspose2d: padding [2 2] leaves nothing of the output"},
		{&Linear{Weight: s.dense(3, 4)}, cube, "nn: Linear: weight [3 4] does not suit input [1 2 4]"},
		{&Linear{Weight: s.dense(3, 2)}, ints, "nn: Linear: input: it holds int: only float32 and float64 are supported"},
		{s.norm2d(2), row, "nn: BatchNorm2d: input [1 2] has the wrong number of axes"},
		{s.norm2d(3), image, "nn: BatchNorm2d: input [1 2 4 4] has 2 channels, the norm has 3"},
		{&FrozenBatchNorm2d{Mean: s.dense(2), Var: ints}, image, "nn: FrozenBatchNorm2d: norm parameter is not constant: its variance cannot be read: it holds int: only float32 and float64 are supported"},
		{&MaxPool2d{Kernel: []int{2}}, cube, "nn: MaxPool2d: input [1 2 4] has 3 axes, want 4 or more"},
		{&MaxPool2d{Kernel: []int{2}, Padding: []int{2}}, image, "nn: MaxPool2d: padding [2 2] is more than half of kernel [2 2]"},
		{&AvgPool2d{}, image, "nn: AvgPool2d: kernel [] has a value below 1"},
		{&ReLU{}, ints, "nn: ReLU: input: it holds int: only float32 and float64 are supported"},
		{&Flatten{}, nil, "nn: Flatten: input: it is nil, empty or a scalar"},
		{NewSequential(&ReLU{}, NewSequential(s.conv2d(3, 3, 1))), image, `child "1": child "0": nn: Conv2d: weight [3 3 1 1] in 1 groups does not suit input [1 2 4 4]`},
		{NewSequential(nil), image, `nn: child "0" is nil`},
		{&DataParallel{}, image, "nn: DataParallel wraps nothing"},
	} {
		if _, err := c.module.Forward(c.input); err == nil || err.Error() != c.want {
			t.Errorf("%T: got %v, want %s", c.module, err, c.want)
		}
	}
}

// A forward pass leaves its input alone.
func TestForwardLeavesItsInput(t *testing.T) {
	s := newSource(61)
	training := s.norm2d(3)
	training.Training = true
	m := NewSequential(s.conv2d(2, 3, 1), s.norm2d(3), training, &ReLU{}, &Identity{}, &Dropout{}, &MaxPool2d{Kernel: []int{2}}, &Flatten{})
	for _, c := range m.Children {
		channels := 3
		if c.Name == "0" {
			channels = 2
		}
		x := s.dense(2, channels, 4, 4)
		before := bits(x)
		forward(t, c.Module, x)
		if bits(x) != before {
			t.Errorf("%T changed its input", c.Module)
		}
	}
}
