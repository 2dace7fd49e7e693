package checkpoint

import (
	"bytes"
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/gopickle/pytorch" // an independent reader
	"github.com/nlpodyssey/gopickle/types"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// headPairs are the pairs of the checkpoints in this package's testdata.
var headPairs = []Pair{
	{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5},
	{Layer: "head.0", Norm: "head.1", Kind: fuse.Linear, Groups: 1, Eps: 1e-5},
}

// TestFormatsAgree: however PyTorch wrote them, the same tensors give the same bytes.
func TestFormatsAgree(t *testing.T) {
	pairs := pairsOf(t, headPairs...)
	for _, o := range []Options{{}, {Pairs: pairs}, {Pairs: pairs, KeepNorms: true}} {
		var want []byte
		for _, name := range []string{"plain.pt", "legacy.pt", "parts.pt", "protocol4.pt", "strided.pt", "wrapped.pt", "plain.safetensors"} {
			out, res := fuseAnd(t, filepath.Join("testdata", name), o)
			got := readAll(t, out)
			if o.Pairs != "" && len(res.Plan.Steps) != 2 {
				t.Errorf("%s: %+v", name, res.Plan)
			}
			if want == nil {
				want = got
			} else if !bytes.Equal(got, want) && (o.Pairs != "" || name != "plain.safetensors") {
				t.Errorf("%s gives other bytes than plain.pt", name)
			}
		}
		if o.Pairs == "" && !bytes.Equal(tensorData(t, want), tensorData(t, readAll(t, "testdata/plain.safetensors"))) {
			t.Error("plain.pt does not have the tensors of plain.safetensors")
		}
	}
}

// tensorData is a safetensors file's tensors, sorted by name, one behind the other.
func tensorData(t *testing.T, file []byte) []byte {
	t.Helper()
	h, err := safetensors.ReadHeader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(h.Tensors, func(a, b safetensors.Entry) int { return strings.Compare(a.Name, b.Name) })
	var all []byte
	for _, x := range h.Tensors {
		all = append(append(all, x.Name+x.DType...), file[x.Off:x.Off+x.NBytes]...)
	}
	return all
}

// TestDropped: what is no tensor is not in the output, and said to be missing.
func TestDropped(t *testing.T) {
	_, res := fuseAnd(t, "testdata/wrapped.pt", Options{})
	if len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], `"epoch", "best", "args", "optimizer", "history"`) {
		t.Errorf("%q", res.Warnings)
	}
}

// TestPrefix: pairs find a parallel run's modules, and the prefix stays.
func TestPrefix(t *testing.T) {
	var tensors []made
	for _, m := range pairTensors("F32") {
		m.name = "module." + m.name
		tensors = append(tensors, m)
	}
	in := write(t, "in.safetensors", encode(nil, tensors...))
	for _, prefix := range []string{"", "model.", "a.b."} {
		pair := Pair{Layer: prefix + "conv", Norm: prefix + "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5}
		out, res := fuseAnd(t, in, Options{Pairs: pairsOf(t, pair)})
		if got := tensorsOf(t, out); len(res.Plan.Steps) != 1 || got["module.conv.bias"].data == nil {
			t.Errorf("%q: %+v", prefix, res.Plan)
		}
		if _, res := fuseAnd(t, out, Options{Pairs: pairsOf(t, pair)}); len(res.Plan.Steps)+len(res.Plan.Skips) != 0 {
			t.Errorf("%q, a second run: %+v", prefix, res.Plan)
		}
	}
}

// TestTied: tensors that share memory are written each, and no fold changes one of them alone.
func TestTied(t *testing.T) {
	out := fuseTo(t, "testdata/tied.pt", Options{})
	got := tensorsOf(t, out)
	if len(got) != 3 || !bytes.Equal(got["weight"].data, got["tied"].data) || !bytes.HasPrefix(got["weight"].data, got["part"].data) {
		t.Errorf("%v", got)
	}
	c, err := open("testdata/tied.pt")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, x := range c.tensors() {
		if !x.shared {
			t.Errorf("%s does not know that it is shared", x.name)
		}
	}
	_, r, err := newLayer(c, Pair{Layer: "", Kind: fuse.Linear, Groups: 1}, "")
	if r == nil {
		t.Error("a layer of a tied weight can be folded")
	} else if r.Reason != fuse.ReasonDType && r.Reason != fuse.ReasonLayerShared || err != nil {
		t.Errorf("%v, %v", r, err)
	}
}

// TestOtherReader: an independent reader finds the same values in a real checkpoint.
func TestOtherReader(t *testing.T) {
	const path = "../testdata/resnet.pt"
	loaded, err := pytorch.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	theirs := loaded.(*types.OrderedDict)
	if theirs.Len() != len(c.tensors()) {
		t.Errorf("%d tensors, want %d", len(c.tensors()), theirs.Len())
	}
	for _, x := range c.tensors() {
		v, ok := theirs.Get(x.name)
		if !ok {
			t.Errorf("%s is not there", x.name)
			continue
		}
		their := v.(*pytorch.Tensor)
		if !slices.Equal(their.Size, x.shape) {
			t.Errorf("%s is %v, want %v", x.name, x.shape, their.Size)
		}
		s, ok := their.Source.(*pytorch.FloatStorage)
		if !ok {
			continue
		}
		got, err := x.values()
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range got {
			if want := s.Data[their.StorageOffset+i]; math.Float32bits(float32(g)) != math.Float32bits(want) {
				t.Fatalf("%s[%d] is %v, want %v", x.name, i, g, want)
			}
		}
	}
}

// narrow is the host engine with other slabs: the bytes must not depend on how work is cut.
type narrow struct {
	fuse.Engine
	n, nBytes int
}

func (e narrow) Slabs() (n, nBytes int) { return e.n, e.nBytes }

// TestRealCheckpoints folds those of the project's testdata by their graphs: all norms go, both formats give
// the same bytes whatever the slabs, and a second run changes nothing.
func TestRealCheckpoints(t *testing.T) {
	for name, norms := range map[string]int{"resnet": 9, "mobilenet_v2": 16, "grouped_decoder": 3, "qsparse_net": 4} {
		stem := filepath.Join("../testdata", name)
		var want []byte
		for _, ext := range []string{".pt", ".safetensors"} {
			for _, slab := range []struct{ n, nBytes int }{{1, 1 << 20}, {4, 1 << 20}, {3, 4096}, {2, 64}} {
				o := Options{Engine: narrow{host.New(), slab.n, slab.nBytes}, Graph: stem + ".onnx"}
				out, res := fuseAnd(t, stem+ext, o)
				got := readAll(t, out)
				if want == nil {
					want = got
				}
				if len(res.Plan.Steps) != norms || len(res.Plan.Skips) != 0 || int(res.BytesOut) != len(got) {
					t.Errorf("%s%s: %+v", name, ext, res)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s%s, %d slabs of %d bytes: other bytes", name, ext, slab.n, slab.nBytes)
				}
				again, res := fuseAnd(t, out, o)
				if len(res.Plan.Steps)+len(res.Plan.Skips) != 0 || !bytes.Equal(readAll(t, again), got) {
					t.Errorf("%s%s, a second run: %+v", name, ext, res.Plan)
				}
				planned, err := Inspect(context.Background(), stem+ext, o)
				if err != nil || len(planned.Plan.Steps) != norms {
					t.Errorf("%s%s, inspected: %+v, %v", name, ext, planned, err)
				}
			}
		}
	}
}
