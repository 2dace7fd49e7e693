//go:build cuda && cgo

package cuda

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/elem"
	"gorgonia.org/cu"
)

// program is a Go program that has CUDA in place: a context, current on its thread, and a stream.
type program struct {
	t       *testing.T
	context cu.CUContext
	stream  cu.Stream
}

func newProgram(t *testing.T) *program {
	t.Helper()
	p := &program{t: t}
	runtime.LockOSThread()
	var err error
	p.context, err = cu.Device(0).RetainPrimaryCtx()
	p.must(err)
	p.must(cu.SetCurrentContext(p.context))
	p.stream, err = cu.MakeStream(cu.NonBlocking)
	p.must(err)
	t.Cleanup(func() {
		p.must(p.stream.Destroy())
		p.must(cu.SetCurrentContext(cu.CUContext{}))
		p.must(cu.Device(0).ReleasePrimaryCtx())
		runtime.UnlockOSThread()
	})
	return p
}

func (p *program) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// put allocates device memory for the bytes, skip bytes behind its start, and copies them there.
func (p *program) put(b []byte, skip int) cu.DevicePtr {
	p.t.Helper()
	memory, err := cu.MemAlloc(int64(len(b) + skip))
	p.must(err)
	p.t.Cleanup(func() { p.must(cu.MemFree(memory)) })
	at := memory + cu.DevicePtr(skip)
	p.must(cu.MemcpyHtoD(at, unsafe.Pointer(&b[0]), int64(len(b))))
	return at
}

func (p *program) get(at cu.DevicePtr, nBytes int) []byte {
	p.t.Helper()
	b := make([]byte, nBytes)
	p.must(cu.MemcpyDtoH(unsafe.Pointer(&b[0]), at, int64(nBytes)))
	return b
}

// hostLayer is a layer in host memory and what folding must make of it.
type hostLayer struct {
	name          string
	layout        fuse.Layout
	shape         []int
	groups        int
	dtype         fuse.DType
	padded        bool
	after, before *fuse.Norm
	weight, bias  []byte // a nil bias is none
}

// randomLayer has norms in the given directions. Parameters are exact in float32, as the layer's user has
// them.
func randomLayer(r *rand.Rand, layout fuse.Layout, dtype fuse.DType, after, before, hasBias bool, shape []int, groups int) hostLayer {
	l := hostLayer{layout: layout, shape: shape, groups: groups, dtype: dtype}
	l.name = fmt.Sprintf("%v %v %v after=%v before=%v bias=%v", layout, shape, dtype, after, before, hasBias)
	elems, _ := fuse.NumElems(shape)
	l.weight = elem.Encode(dtype, normals(r, elems, 0, 1))
	if hasBias {
		l.bias = elem.Encode(dtype, normals(r, l.channels(fuse.After), 0, 1))
	}
	if after {
		l.after = randomNorm(r, l.channels(fuse.After))
	}
	if before {
		l.before = randomNorm(r, l.channels(fuse.Before))
	}
	return l
}

func (l *hostLayer) view(d fuse.Direction) fuse.View {
	v, err := l.layout.View(d, l.shape, l.groups)
	if err != nil {
		panic(err)
	}
	return v
}

func (l *hostLayer) channels(d fuse.Direction) int { return l.view(d).NumChannels() }

func normals(r *rand.Rand, n int, mean, deviation float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(float32(mean + deviation*r.NormFloat64()))
	}
	return x
}

func randomNorm(r *rand.Rand, channels int) *fuse.Norm {
	variance := normals(r, channels, 0, 1)
	for i := range variance {
		variance[i] = float64(float32(variance[i] * variance[i]))
	}
	return &fuse.Norm{Gamma: normals(r, channels, 1, 0.5), Beta: normals(r, channels, 0, 1),
		Mean: normals(r, channels, 0, 1), Var: variance, Eps: 1e-5}
}

// withoutShift gives the norm maps that only scale: β = μ·s is not exact, so both are zero.
func withoutShift(n *fuse.Norm) *fuse.Norm {
	n.Beta, n.Mean = make([]float64, len(n.Mean)), make([]float64, len(n.Mean))
	return n
}

// fold folds the layer by the host's reference loops.
func (l *hostLayer) fold(t *testing.T) (weight, bias []byte, counts fuse.Segment) {
	t.Helper()
	var b []float64
	if l.bias != nil {
		b = elem.Decode(l.dtype, l.bias)
	}
	weight, folded, counts := l.foldWith(t, b)
	return weight, elem.Encode(l.dtype, folded), counts
}

// foldWith is fold with a bias that is not rounded to the weight's type.
func (l *hostLayer) foldWith(t *testing.T, bias []float64) (weight []byte, folded []float64, counts fuse.Segment) {
	t.Helper()
	weight = bytes.Clone(l.weight)
	f := fuse.Fold{}
	for d, n := range map[fuse.Direction]*fuse.Norm{fuse.After: l.after, fuse.Before: l.before} {
		if n == nil {
			continue
		}
		a, err := n.Affine()
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Add(d, a); err != nil {
			t.Fatal(err)
		}
	}
	after, before := l.view(fuse.After), l.view(fuse.Before)
	piece := fuse.Piece{Elems: after.Elems(), DType: l.dtype}
	var contracted []float64
	if l.before != nil && !l.padded && l.layout != fuse.ConvTranspose {
		lanes := make([]float64, after.NumChannels()*fuse.NumLanes)
		host.ReferenceContract(weight, &fuse.Contraction{Piece: piece, View: before, Shift: f.Before.Shift,
			PerInner: l.layout == fuse.MatMul, Lanes: lanes})
		contracted = fuse.SumLanes(lanes)
	}
	counts = fuse.Segment{Piece: piece,
		After:  fuse.Factor{View: after, Scale: f.After.Scale},
		Before: fuse.Factor{View: before, Scale: f.Before.Scale}}
	host.ReferenceScale(weight, &counts)
	return weight, f.Bias(bias, contracted, after.NumChannels()), counts
}

// onDevice copies the layer to the device. Its weight starts skip elements behind an aligned address.
func (p *program) onDevice(l hostLayer, skip int) Layer {
	d := Layer{Name: l.name, Layout: l.layout, Shape: l.shape, Groups: l.groups, DType: l.dtype, Padded: l.padded,
		Weight: p.put(l.weight, skip*l.dtype.Size()), After: p.normOnDevice(l.after), Before: p.normOnDevice(l.before)}
	if l.bias != nil {
		d.Bias = p.put(l.bias, 0)
	} else {
		d.NewBias = p.put(make([]byte, l.channels(fuse.After)*l.dtype.Size()), 0)
	}
	return d
}

func (p *program) normOnDevice(n *fuse.Norm) *Norm {
	if n == nil {
		return nil
	}
	put := func(x []float64) cu.DevicePtr { return p.put(elem.Encode(fuse.Float32, x), 0) }
	return &Norm{Gamma: put(n.Gamma), Beta: put(n.Beta), Mean: put(n.Mean), Var: put(n.Var), Eps: n.Eps}
}

func (p *program) resident(layers []Layer) *Model {
	p.t.Helper()
	r, err := NewResident(p.context)
	p.must(err)
	m, err := r.Prepare(layers)
	p.must(err)
	p.t.Cleanup(func() { p.must(r.Close()) })
	p.t.Cleanup(func() { p.must(m.Close()) })
	return m
}

// Every layout, direction, type and alignment in one model, against the host's loops, bit for bit.
func TestResidentIsTheHosts(t *testing.T) {
	p := newProgram(t)
	r := rand.New(rand.NewPCG(1, 2))
	var hostLayers []hostLayer
	var layers []Layer
	for _, dtype := range []fuse.DType{fuse.Float64, fuse.Float32, fuse.Float16, fuse.BFloat16} {
		for _, c := range []struct {
			layout fuse.Layout
			shape  []int
			groups int
		}{
			{fuse.Conv, []int{5, 3, 3, 3}, 1}, {fuse.Conv, []int{6, 2, 7}, 3}, {fuse.Conv, []int{40, 1, 3, 3}, 40},
			{fuse.Conv, []int{3, 300, 1, 1}, 1}, {fuse.ConvTranspose, []int{6, 4, 2, 2}, 3}, {fuse.ConvTranspose, []int{7, 5, 3}, 1},
			{fuse.Linear, []int{33, 70}, 1}, {fuse.MatMul, []int{70, 33}, 1}, {fuse.MatMul, []int{5, 300}, 1}, {fuse.Linear, []int{1, 1}, 1},
			{fuse.Conv, []int{70, 16, 3, 3}, 1}, {fuse.Linear, []int{1100, 8}, 1}, {fuse.ConvTranspose, []int{19, 8, 2, 2}, 1},
			{fuse.MatMul, []int{133, 80}, 1}, {fuse.MatMul, []int{3, 2400}, 1}, {fuse.Conv, []int{26, 40, 1, 1}, 2}, // whole vectors
		} {
			for _, directions := range [][2]bool{{true, false}, {false, true}, {true, true}} {
				l := randomLayer(r, c.layout, dtype, directions[0], directions[1], r.IntN(2) == 0, c.shape, c.groups)
				if l.before != nil && l.channels(fuse.After) > 500 { // a thousand sums take the software driver seconds
					continue
				}
				if l.layout == fuse.ConvTranspose && l.before != nil {
					withoutShift(l.before)
				}
				hostLayers = append(hostLayers, l, l)
				layers = append(layers, p.onDevice(l, 0), p.onDevice(l, 1+r.IntN(9)))
			}
		}
	}
	p.mustFoldAsTheHost(hostLayers, layers)
}

// Weights and scales from the ends of their types and beyond, in every kind of loop.
func TestResidentOddNumbers(t *testing.T) {
	p := newProgram(t)
	r := rand.New(rand.NewPCG(7, 8))
	odd := []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 1 << 20, -1 << 20, 1e-7, 1e-30, -1e30, 1e38, 1e-45}
	kinds := map[int64]bool{}
	for _, dtype := range dtypes {
		var hostLayers []hostLayer
		var layers []Layer
		for _, c := range []struct {
			layout fuse.Layout
			shape  []int
			before bool
		}{
			{fuse.Conv, []int{len(odd), 512, 3, 3}, false}, {fuse.Conv, []int{len(odd), 111, 3}, false}, {fuse.MatMul, []int{300, 8 * len(odd)}, false},
			{fuse.Conv, []int{64, len(odd), 3, 3}, true}, {fuse.MatMul, []int{8 * len(odd), 70}, true},
		} {
			l := randomLayer(r, c.layout, dtype, !c.before, c.before, true, c.shape, 1)
			randomBits(r, l.weight)
			n := l.after
			if c.before {
				n = withoutShift(l.before) // the sum of such weights is not a number
			}
			for i := range n.Gamma {
				n.Gamma[i], n.Var[i] = float64(float32(odd[i%len(odd)])), float64(float32(1-n.Eps))
			}
			hostLayers, layers = append(hostLayers, l), append(layers, p.onDevice(l, 0))
		}
		plan, err := planResident(layers)
		p.must(err)
		for _, f := range plan.foldRows {
			kinds[f.kind] = true
		}
		p.mustFoldAsTheHost(hostLayers, layers)
	}
	if len(kinds) != kindColumns+1 {
		t.Errorf("the layers go through the kinds %v, want every one", kinds)
	}
}

// mustFoldAsTheHost folds the layers on the device and compares them with what the host's loops make of them.
func (p *program) mustFoldAsTheHost(hostLayers []hostLayer, layers []Layer) {
	t := p.t
	t.Helper()
	m := p.resident(layers)
	p.must(m.Fold(p.stream))
	results, err := m.Results(p.stream)
	p.must(err)
	for i, l := range hostLayers {
		weight, bias, counts := l.fold(t)
		if got := p.get(layers[i].Weight, len(weight)); !bytes.Equal(got, weight) {
			t.Errorf("%s: the weights differ from the host's", l.name)
		}
		at := layers[i].Bias
		if at == 0 {
			at = layers[i].NewBias
		}
		if l.after == nil && l.layout == fuse.ConvTranspose { // a norm before it without shift leaves the bias alone
			bias = l.bias
		}
		if r := results[i]; r.Overflows != counts.Overflows || r.Vanished != counts.Vanished || r.RefusedChannels != 0 {
			t.Errorf("%s: counts %+v, want %d overflows, %d vanished", l.name, r, counts.Overflows, counts.Vanished)
		}
		if bias == nil {
			continue
		}
		if got := p.get(at, len(bias)); !bytes.Equal(got, bias) {
			t.Errorf("%s: the biases differ from the host's:\n got %v\nwant %v", l.name, elem.Decode(l.dtype, got), elem.Decode(l.dtype, bias))
		}
	}
}

// A check runs the same launches, counts the same and changes no byte.
func TestResidentCheckWritesNothing(t *testing.T) {
	p := newProgram(t)
	l := randomLayer(rand.New(rand.NewPCG(3, 4)), fuse.Linear, fuse.Float16, true, true, true, []int{64, 64}, 1)
	for i := range l.after.Gamma {
		l.after.Gamma[i] = 1 << 17
	}
	d := p.onDevice(l, 0)
	m := p.resident([]Layer{d})
	p.must(m.Check(p.stream))
	checked, err := m.Results(p.stream)
	p.must(err)
	if !bytes.Equal(p.get(d.Weight, len(l.weight)), l.weight) || !bytes.Equal(p.get(d.Bias, len(l.bias)), l.bias) {
		t.Error("Check changed the layer")
	}
	if _, _, counts := l.fold(t); checked[0].Overflows != counts.Overflows || counts.Overflows == 0 || checked[0].Exact() {
		t.Errorf("Check counts %+v, want %d overflows", checked[0], counts.Overflows)
	}
	p.must(m.Fold(p.stream))
	folded, err := m.Results(p.stream)
	p.must(err)
	if folded[0] != checked[0] {
		t.Errorf("Check counted %+v, Fold %+v", checked[0], folded[0])
	}
}

// A map that cannot be folded leaves its layer alone, and only its layer.
func TestResidentRefuses(t *testing.T) {
	p := newProgram(t)
	r := rand.New(rand.NewPCG(5, 6))
	conv := func(after, before bool) hostLayer {
		return randomLayer(r, fuse.Conv, fuse.Float32, after, before, true, []int{8, 4, 3, 3}, 1)
	}
	good, variance, infinite, padded := conv(true, false), conv(true, false), conv(true, true), conv(false, true)
	variance.after.Var[3] = -1
	infinite.before.Mean[2] = inf
	padded.padded = true
	hostLayers := []hostLayer{variance, infinite, padded, good}
	var layers []Layer
	for _, l := range hostLayers {
		layers = append(layers, p.onDevice(l, 0))
	}
	m := p.resident(layers)
	p.must(m.Fold(p.stream))
	results, err := m.Results(p.stream)
	p.must(err)
	for i, want := range []int{1, 1, 4, 0} {
		if results[i].RefusedChannels != want {
			t.Errorf("layer %d: %d channels refused, want %d", i, results[i].RefusedChannels, want)
		}
		l, d := hostLayers[i], layers[i]
		same := bytes.Equal(p.get(d.Weight, len(l.weight)), l.weight) && bytes.Equal(p.get(d.Bias, len(l.bias)), l.bias)
		if same != (want > 0) {
			t.Errorf("layer %d: unchanged is %v with %d channels refused", i, same, want)
		}
	}
}

var inf = math.Inf(1)

// What a caller can get wrong is an error with the layer's name, before anything is allocated.
func TestResidentPrepareErrors(t *testing.T) {
	p := newProgram(t)
	r, err := NewResident(p.context)
	p.must(err)
	defer r.Close()
	good := Layer{Name: "fc", Layout: fuse.Linear, Shape: []int{4, 4}, DType: fuse.Float32, Weight: 256, Bias: 512,
		After: &Norm{Mean: 1024, Var: 2048}}
	for _, c := range []struct {
		change func(*Layer)
		want   string
	}{
		{func(l *Layer) { l.DType = 0 }, `cuda: layer "fc": not an element type`},
		{func(l *Layer) { l.After = &Norm{Mean: 1024, Var: 2048, DType: 7} }, `cuda: layer "fc": not an element type`},
		{func(l *Layer) { l.Layout = 9 }, `cuda: layer "fc": not a layout`},
		{func(l *Layer) { l.After = nil }, `cuda: layer "fc": no norm to fold`},
		{func(l *Layer) { l.Weight = 0 }, `cuda: layer "fc": no weight`},
		{func(l *Layer) { l.Shape = []int{4, 0} }, `cuda: layer "fc": no weight`},
		{func(l *Layer) { l.Weight++ }, `cuda: layer "fc": the weight is not aligned`},
		{func(l *Layer) { l.Bias = 0 }, `cuda: layer "fc": nowhere to write the new bias`},
		{func(l *Layer) { l.After = &Norm{Mean: 1024} }, `cuda: layer "fc": a norm needs Mean and Var`},
		{func(l *Layer) { l.Groups = 2 }, `cuda: layer "fc": fuse: Linear weight [4 4], groups 2`},
	} {
		l := good
		c.change(&l)
		_, err := r.Prepare([]Layer{l})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// Parameters and biases have types of their own.
func TestResidentTypesMayDiffer(t *testing.T) {
	p := newProgram(t)
	r := rand.New(rand.NewPCG(11, 12))
	for _, normType := range dtypes {
		for _, biasType := range dtypes {
			l := randomLayer(r, fuse.Conv, fuse.Float16, true, true, false, []int{6, 5, 3}, 1)
			for _, n := range []*fuse.Norm{l.after, l.before} {
				for _, x := range [][]float64{n.Gamma, n.Beta, n.Mean, n.Var} {
					copy(x, elem.Decode(normType, elem.Encode(normType, x))) // as the device will have them
				}
			}
			bias := elem.Encode(biasType, normals(r, 6, 0, 1))
			d := p.onDevice(l, 0)
			d.Bias, d.BiasDType, d.NewBias = p.put(bias, 0), biasType, 0
			for to, n := range map[**Norm]*fuse.Norm{&d.After: l.after, &d.Before: l.before} {
				put := func(x []float64) cu.DevicePtr { return p.put(elem.Encode(normType, x), 0) }
				*to = &Norm{Gamma: put(n.Gamma), Beta: put(n.Beta), Mean: put(n.Mean), Var: put(n.Var), DType: normType, Eps: n.Eps}
			}
			m := p.resident([]Layer{d})
			p.must(m.Fold(p.stream))
			p.must(p.stream.Synchronize())
			weight, want, _ := l.foldWith(t, elem.Decode(biasType, bias))
			if got := p.get(d.Weight, len(weight)); !bytes.Equal(got, weight) {
				t.Errorf("norm %v, bias %v: the weights differ from the host's", normType, biasType)
			}
			if got := p.get(d.Bias, len(bias)); !bytes.Equal(got, elem.Encode(biasType, want)) {
				t.Errorf("norm %v, bias %v: the biases differ from the host's", normType, biasType)
			}
		}
	}
}
