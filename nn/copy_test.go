package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"gorgonia.org/tensor"
)

// snapshot lists a model's modules and every bit of their tensors.
func snapshot(m Module) []string {
	var out []string
	var visit func(m Module, path string)
	visit = func(m Module, path string) {
		line := fmt.Sprintf("%s %p %s", path, m, kindOf(m))
		if v := reflect.Indirect(reflect.ValueOf(m)); v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				if !v.Type().Field(i).IsExported() {
					continue
				}
				if d, ok := v.Field(i).Interface().(*tensor.Dense); ok && d != nil {
					line += fmt.Sprintf(" %p %s", d, bits(d))
				}
			}
		}
		out = append(out, line)
		for _, s := range slotsOf(m) {
			visit(s.Module, join(path, s.Name))
		}
	}
	visit(m, "")
	return out
}

func bits(d *tensor.Dense) string {
	if d.Dtype().Type == nil {
		return "none"
	}
	b, err := binary.Append(nil, binary.LittleEndian, d.Data())
	if err != nil {
		return fmt.Sprint(d.Data())
	}
	return fmt.Sprintf("%v %x", d.Shape(), b)
}

// everything is a module with a field of every kind that can be copied.
type everything struct {
	Body    *Sequential
	Same    *Sequential
	Maps    map[string]*Linear
	Lists   [][]Module
	Array   [2]*tensor.Dense
	Any     any
	Nothing any
	Call    func()
	Plain   struct{ Numbers []int }
	Masked  *tensor.Dense
	Empty   *tensor.Dense
	First   any
	Last    *tensor.Dense
	count   int
	name    string
}

func (e *everything) Forward(x *tensor.Dense) (*tensor.Dense, error) { return e.Body.Forward(x) }

// A copy shares nothing with the original, and what is one object there is one here.
func TestCopyIsDeep(t *testing.T) {
	t.Run("at once", func(t *testing.T) { testCopyIsDeep(t, copyModule) })
	t.Run("tensors late", func(t *testing.T) {
		testCopyIsDeep(t, func(m Module) (Module, error) {
			out, late, err := copyModuleLate(m)
			late.finish()
			return out, err
		})
	})
}

func testCopyIsDeep(t *testing.T, copyModule func(Module) (Module, error)) {
	s := newSource(30)
	body := NewSequential(s.conv2d(2, 3, 1), s.norm2d(3))
	view, err := s.dense(4, 5).Slice(nil, tensor.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	fc := &Linear{Weight: view.(*tensor.Dense)}
	masked := tensor.New(tensor.WithBacking([]float64{1, 2}, []bool{true, false}))
	m := &everything{
		Body: body, Same: body,
		Maps:   map[string]*Linear{"x": fc},
		Lists:  [][]Module{{fc, body}, nil},
		Array:  [2]*tensor.Dense{s.dense(2), tensor.New(tensor.FromScalar(3.5))},
		Any:    []string{"x"},
		Masked: masked,
		Empty:  &tensor.Dense{},
		count:  3, name: "x",
	}
	m.First, m.Last = m.Array[0], m.Array[0]
	m.Plain.Numbers = []int{1, 2}
	made, err := copyModule(m)
	if err != nil {
		t.Fatal(err)
	}
	c := made.(*everything)
	if c == m || c.Body == m.Body || c.Body != c.Same || c.Lists[0][1] != c.Body || c.Maps["x"] != c.Lists[0][0] {
		t.Error("the copy's objects are not as the original's")
	}
	if c.First != any(c.Array[0]) || c.Last != c.Array[0] || c.Last == m.Last {
		t.Error("one tensor in three places is not one tensor in the copy")
	}
	if c.count != 3 || c.name != "x" || c.Lists[1] != nil || c.Nothing != nil {
		t.Error("plain fields differ")
	}
	if !slices.Equal(mustValues(t, c.Maps["x"].Weight), mustValues(t, fc.Weight)) || !c.Masked.IsMasked() {
		t.Error("a view or a mask was not copied")
	}
	before := snapshot(m)
	for _, d := range []*tensor.Dense{c.Maps["x"].Weight, c.Array[0], c.Body.Children[0].Module.(*Conv2d).Weight} {
		x := d.Data().([]float64)
		for i := range x {
			x[i] = -1
		}
	}
	c.Plain.Numbers[0], c.Any.([]string)[0], c.Lists[0][0] = 9, "y", nil
	if !slices.Equal(snapshot(m), before) || m.Plain.Numbers[0] != 1 || m.Any.([]string)[0] != "x" {
		t.Error("changing the copy changed the original")
	}
}

// Copy folds a copy: the original keeps every bit, and its modules stay where they were.
func TestCopyLeavesTheOriginal(t *testing.T) {
	s := newSource(31)
	m := NewSequential(s.conv2d(2, 3, 1), NewSequential(s.norm2d(3)), &residual{Body: NewSequential(s.conv2d(3, 3, 1), s.norm2d(3))})
	x := s.dense(1, 2, 2, 2)
	before, want := snapshot(m), forward(t, m, x)
	out, plan, err := FuseBN(m, Options{Copy: true})
	if err != nil || len(plan.Steps) != 2 {
		t.Fatal(plan, err)
	}
	if !slices.Equal(snapshot(m), before) {
		t.Error("the original changed")
	}
	compare(t, "output", forward(t, out, x), want, tolerances[tensor.Float64])
	if countNorms(t, out) != 0 {
		t.Error("the copy still has norms")
	}
}

// secret is a module that reflection must not copy.
type secret struct {
	Norms  []Module
	weight *tensor.Dense
}

func (s *secret) Forward(x *tensor.Dense) (*tensor.Dense, error) { return x.Add(s.weight) }

// open is one that copies itself.
type open struct{ secret }

func (o *open) CopyModule() (Module, error) {
	if o.weight == nil {
		return nil, errors.New("no weight")
	}
	return &open{secret{weight: o.weight.Clone().(*tensor.Dense)}}, nil
}

func TestCopyNeedsHelp(t *testing.T) {
	s := newSource(32)
	m := NewSequential(s.conv2d(2, 3, 1), s.norm2d(3), &secret{weight: s.dense(1, 3, 2, 2)})
	before := snapshot(m)
	_, _, err := FuseBN(m, Options{Copy: true})
	const want = "nn: copy: Sequential.Children.2.Module.weight is unexported: cannot be copied; give the module a CopyModule method"
	if !errors.Is(err, ErrNoCopy) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if !slices.Equal(snapshot(m), before) {
		t.Error("the model changed")
	}
	// In place, nothing has to be copied.
	if _, plan := mustFuse(t, m, s.dense(1, 2, 2, 2), Options{}); len(plan.Steps) != 1 {
		t.Errorf("folded %d norms in place", len(plan.Steps))
	}

	own := &open{secret{weight: s.dense(1, 3, 2, 2)}}
	m = NewSequential(s.conv2d(2, 3, 1), s.norm2d(3), own, own)
	out, _, err := FuseBN(m, Options{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	copied := out.(*Sequential).Child("2").(*open)
	if copied == own || copied.weight == own.weight || out.(*Sequential).Child("3") != copied {
		t.Error("CopyModule was not used, once")
	}
	x := s.dense(1, 2, 2, 2)
	compare(t, "output", forward(t, out, x), forward(t, m, x), tolerances[tensor.Float64])

	own.weight = nil
	if _, _, err := FuseBN(m, Options{Copy: true}); err == nil || err.Error() != "nn: copy: Sequential.Children.2.Module: no weight" {
		t.Errorf("got %v", err)
	}
}

// Bits that arithmetic might change survive a copy.
func TestCopyKeepsNaNs(t *testing.T) {
	fc := &Linear{Weight: backed([]int{1, 2}, []float32{math.Float32frombits(0x7f800001), math.Float32frombits(0xffc12345)})}
	made, err := copyModule(fc)
	if err != nil {
		t.Fatal(err)
	}
	if bits(made.(*Linear).Weight) != bits(fc.Weight) {
		t.Error("the bits differ")
	}
}

// What a handler keeps of a norm is the copy's, too.
func TestCopyForHandlers(t *testing.T) {
	s := newSource(33)
	norm := s.norm2d(3)
	m := NewSequential(s.conv2d(2, 3, 1), norm)
	keep := BNFuserFunc(func(layer Module, n Norm) (Module, error) {
		return NewSequential(layer, &gain{Gain: n.(*BatchNorm2d).Gamma}), nil
	})
	out, _, err := FuseBN(m, Options{Copy: true, Handlers: map[string]BNFuser{"Conv2d": keep}})
	if err != nil {
		t.Fatal(err)
	}
	made := out.(*Sequential)
	conv, ok := made.Children[0].Module.(*Conv2d)
	if !ok || made.Children[1].Module.(*gain).Gain == norm.Gamma || conv.Weight == m.Children[0].Module.(*Conv2d).Weight {
		t.Error("the result shares memory with the original")
	}
}
