package nn

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
)

// tolerance is what |got − want| may be: base + |want|·eps, for outputs of a few hundred terms of order 1.
type tolerance struct{ base, eps float64 }

var tolerances = map[tensor.Dtype]tolerance{
	tensor.Float64: {1e-12, 1e-12},
	tensor.Float32: {1e-4, 1e-5},
}

func compare(t *testing.T, name string, got, want []float64, tol tolerance) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d elements, want %d", name, len(got), len(want))
	}
	wrong := 0
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= tol.base+math.Abs(want[i])*tol.eps) {
			if wrong++; wrong <= 4 {
				t.Errorf("%s: element %d is %v, want %v", name, i, got[i], want[i])
			}
		}
	}
	if wrong > 4 {
		t.Errorf("%s: %d of %d elements are wrong", name, wrong, len(got))
	}
}

// source makes random tensors of one element type.
type source struct {
	*rand.Rand
	dtype tensor.Dtype
}

func newSource(seed uint64) *source {
	return &source{rand.New(rand.NewPCG(seed, 0)), tensor.Float64}
}

func (s *source) dense(shape ...int) *tensor.Dense {
	x := make([]float64, product(shape))
	for i := range x {
		x[i] = s.NormFloat64()
	}
	return newDense(s.dtype, shape, x)
}

// between is a vector of values in [lo, hi).
func (s *source) between(lo, hi float64, n int) *tensor.Dense {
	x := make([]float64, n)
	for i := range x {
		x[i] = lo + (hi-lo)*s.Float64()
	}
	return newDense(s.dtype, []int{n}, x)
}

func (s *source) norm(channels int, affine bool) BatchNorm {
	n := BatchNorm{Mean: s.dense(channels), Var: s.between(0.01, 4, channels), Eps: 1e-5}
	if affine {
		n.Gamma, n.Beta = s.dense(channels), s.dense(channels)
	}
	return n
}

func (s *source) norm2d(channels int) *BatchNorm2d {
	n := BatchNorm2d(s.norm(channels, true))
	return &n
}

func (s *source) conv2d(in, out, kernel int) *Conv2d {
	return &Conv2d{Weight: s.dense(out, in, kernel, kernel), Bias: s.dense(out)}
}

func forward(t *testing.T, m Module, x *tensor.Dense) []float64 {
	t.Helper()
	y, err := m.Forward(x)
	if err != nil {
		t.Fatal(err)
	}
	v, err := values(y)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// mustFuse folds and checks that the outputs stay equal, that every norm is in the plan once, and that
// folding again changes nothing.
func mustFuse(t *testing.T, m Module, x *tensor.Dense, o Options) (Module, fuse.Plan) {
	t.Helper()
	norms := countNorms(t, m)
	want := forward(t, m, x)
	out, plan, err := FuseBN(m, o)
	if err != nil {
		t.Fatal(err)
	}
	tol := tolerances[x.Dtype()]
	compare(t, "output", forward(t, out, x), want, tol)
	if n := len(plan.Steps) + len(plan.Skips); n != norms {
		t.Errorf("the plan has %d norms, the model %d", n, norms)
	}
	if left := countNorms(t, out); left != len(plan.Skips) {
		t.Errorf("%d norms are left, the plan skips %d: %v", left, len(plan.Skips), plan.Skips)
	}
	o.Copy = false
	again, second, err := FuseBN(out, o)
	if err != nil {
		t.Fatal(err)
	}
	if again != out || len(second.Steps) != 0 || len(second.Skips) != len(plan.Skips) {
		t.Errorf("folding again took %d steps and skipped %d, want 0 and %d", len(second.Steps), len(second.Skips), len(plan.Skips))
	}
	return out, plan
}

// countNorms counts the places of a model that hold a norm.
func countNorms(t *testing.T, m Module) int {
	t.Helper()
	n := 0
	seen := map[identity]bool{}
	var visit func(m Module)
	visit = func(m Module) {
		if _, ok := m.(Norm); ok {
			n++
			return
		}
		if id, ok := identityOf(reflect.ValueOf(m)); ok {
			if seen[id] {
				return
			}
			seen[id] = true
		}
		for _, s := range slotsOf(m) {
			if !s.hidden {
				visit(s.Module)
			}
		}
	}
	visit(m)
	return n
}

// paths lists the modules of a model with their names, as in "0.1 Conv2d".
func paths(m Module) []string {
	var out []string
	var visit func(m Module, path string)
	visit = func(m Module, path string) {
		slots := slotsOf(m)
		if len(slots) == 0 {
			out = append(out, path+" "+kindOf(m))
		}
		for _, s := range slots {
			visit(s.Module, join(path, s.Name))
		}
	}
	visit(m, "")
	return out
}
