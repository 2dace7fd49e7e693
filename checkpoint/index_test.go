package checkpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/safetensors"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// writeShards writes a checkpoint of two shards, the norm in the other one than its layer.
func writeShards(t *testing.T, dir string) string {
	t.Helper()
	all := pairTensors("F32")
	all = append(all[:1:1], append([]made{layerTensor("fc.weight", "F16", 2, 4)}, all[1:]...)...)
	files := map[string][]byte{
		"model-00001-of-00002.safetensors": encode([]safetensors.Metadatum{{Key: "format", Value: "pt"}}, all[:2]...),
		"model-00002-of-00002.safetensors": encode([]safetensors.Metadatum{{Key: "format", Value: "pt"}}, all[2:]...),
		"model.safetensors.index.json": []byte(`{"metadata":{"total_size":1,"note":"kept"},"weight_map":{
			"bn.bias":"model-00002-of-00002.safetensors","bn.weight":"model-00002-of-00002.safetensors",
			"bn.num_batches_tracked":"model-00002-of-00002.safetensors","bn.running_mean":"model-00002-of-00002.safetensors",
			"bn.running_var":"model-00002-of-00002.safetensors","conv.weight":"model-00001-of-00002.safetensors",
			"fc.weight":"model-00001-of-00002.safetensors"},"more":[1]}`),
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "model.safetensors.index.json")
}

// TestShards: the bias joins its weight's shard, and the index follows.
func TestShards(t *testing.T) {
	in := writeShards(t, t.TempDir())
	o := Options{Engine: host.New(), Pairs: pairsOf(t, Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5})}
	for _, c := range []struct{ out, shards string }{
		{"model.safetensors.index.json", "model"},
		{"small.safetensors.index.json", "small"},
	} {
		out := filepath.Join(t.TempDir(), c.out)
		res, err := FuseFile(context.Background(), in, out, o)
		if err != nil || len(res.Plan.Steps) != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
		var index struct {
			Metadata struct {
				Total int    `json:"total_size"`
				Note  string `json:"note"`
			}
			Map  map[string]string `json:"weight_map"`
			More []int
		}
		if err := json.Unmarshal(readAll(t, out), &index); err != nil {
			t.Fatal(err)
		}
		first := c.shards + "-00001-of-00002.safetensors"
		if len(index.Map) != 3 || index.Map["conv.bias"] != first || index.Map["conv.weight"] != first || index.Map["fc.weight"] != first {
			t.Errorf("%v", index.Map)
		}
		got := tensorsOf(t, filepath.Join(filepath.Dir(out), first))
		total := 0
		for _, x := range got {
			total += len(x.data)
		}
		if index.Metadata.Total != total || index.Metadata.Note != "kept" || len(index.More) != 1 || len(got) != 3 {
			t.Errorf("%+v, %d bytes in %d tensors", index, total, len(got))
		}
		if second := tensorsOf(t, filepath.Join(filepath.Dir(out), c.shards+"-00002-of-00002.safetensors")); len(second) != 0 {
			t.Errorf("the norm's shard has %d tensors", len(second))
		}
		again := filepath.Join(t.TempDir(), c.out)
		if _, err := FuseFile(context.Background(), out, again, o); err != nil || !bytes.Equal(readAll(t, again), readAll(t, out)) {
			t.Errorf("a second run: %v", err)
		}
	}
}

// TestBinShards: shards that PyTorch saved become shards of safetensors, with their index.
func TestBinShards(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "pytorch_model.bin.index.json")
	copies := map[string]string{"pytorch_model-00001-of-00002.bin": "plain.pt", "pytorch_model-00002-of-00002.bin": "parallel.pt"}
	weights := map[string]string{}
	for shard, name := range copies {
		b := readAll(t, filepath.Join("testdata", name))
		if err := os.WriteFile(filepath.Join(dir, shard), b, 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range c.tensors() {
			weights[x.name] = shard
		}
		c.close()
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": weights})
	if err == nil {
		err = os.WriteFile(in, text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Engine: host.New(), Pairs: pairsOf(t, headPairs...)}
	for name, stem := range map[string]string{"model.safetensors.index.json": "model", OutputName("pytorch_model.bin.index.json", PyTorch): "pytorch_model.bin"} {
		out := filepath.Join(t.TempDir(), name)
		res, err := FuseFile(context.Background(), in, out, o)
		if err != nil || len(res.Plan.Steps) != 2 {
			t.Fatalf("%+v, %v", res, err)
		}
		first := filepath.Join(filepath.Dir(out), stem+"-00001-of-00002.safetensors")
		if alone := fuseTo(t, "testdata/plain.pt", o); !bytes.Equal(readAll(t, first), readAll(t, alone)) {
			t.Errorf("%s: the first shard has other bytes than the file alone", name)
		}
		again, err := Inspect(context.Background(), out, o)
		if err != nil || len(again.Plan.Steps)+len(again.Plan.Skips) != 0 {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
		b := readAll(t, out)
		if shards, err := Shards(bytes.NewReader(b), int64(len(b)), name); err != nil || len(shards) != 2 {
			t.Errorf("%s: %q, %v", name, shards, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pytorch_model-00002-of-00002.bin"), readAll(t, "testdata/plain.safetensors"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := open(in); err == nil {
		t.Error("a shard that is safetensors is no error")
	}
}

func TestOutputName(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"a/x.pt", PyTorch}:                       "a/x.pt.safetensors",
		{"x.bin.index.json", PyTorch}:             "x.bin.safetensors.index.json",
		{"x.safetensors.index.json", Safetensors}: "x.safetensors.index.json",
		{"x.bin", Safetensors}:                    "x.bin",
	} {
		if got := OutputName(in[0], in[1]); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestShardsInPlace: shards are not replaced by their own output, and an index that is replaced is gone before
// the first shard is.
func TestShardsInPlace(t *testing.T) {
	in := writeShards(t, t.TempDir())
	o := Options{Engine: host.New(), Force: true, Pairs: pairsOf(t, Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5})}
	before := readAll(t, in)
	if _, err := FuseFile(context.Background(), in, in, o); !errors.Is(err, ErrShardsInPlace) || !bytes.Equal(readAll(t, in), before) {
		t.Errorf("%v", err)
	}
	link := filepath.Join(t.TempDir(), "model-00002-of-00002.safetensors")
	if err := os.Symlink(filepath.Join(filepath.Dir(in), filepath.Base(link)), link); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(filepath.Dir(link), filepath.Base(in))
	if _, err := FuseFile(context.Background(), in, out, o); !errors.Is(err, ErrShardsInPlace) {
		t.Errorf("through a link: %v", err)
	}

	out = writeShards(t, t.TempDir()) // of an earlier run
	p, err := Prepare(context.Background(), in, out, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := stream.Run(context.Background(), o.Engine, p.Next, nil); err != nil {
		t.Fatal(err)
	}
	// The second shard cannot get its name: what is left must not pass for a checkpoint.
	second := filepath.Join(filepath.Dir(out), "model-00002-of-00002.safetensors")
	if err := errors.Join(os.Remove(second), os.MkdirAll(filepath.Join(second, "folder"), 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(context.Background()); err == nil {
		t.Fatal("a folder in the way is no error")
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old index is still there: %v", err)
	}
}

// TestMalformedIndex: one index an error.
func TestMalformedIndex(t *testing.T) {
	one, two := "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	for _, c := range []struct{ name, index, want string }{
		{"empty", "", "JSON"},
		{"cut", `{"weight_map":{"a"`, "JSON"},
		{"no object", `[]`, "not a JSON object"},
		{"no map", `{"metadata":{}}`, "no weight_map"},
		{"map no object", `{"weight_map":[]}`, "not a JSON object"},
		{"map twice", `{"weight_map":{},"weight_map":{}}`, "comes twice"},
		{"tensor twice", `{"weight_map":{"a":"x","a":"y"}}`, "comes twice"},
		{"file no text", `{"weight_map":{"a":1}}`, "name of a file"},
		{"folder above", `{"weight_map":{"a":"../x.safetensors"}}`, "beside the index"},
		{"absolute", `{"weight_map":{"a":"/etc/passwd"}}`, "beside the index"},
		{"dots", `{"weight_map":{"a":".."}}`, "beside the index"},
		{"shard missing", `{"weight_map":{"a":"x.safetensors"}}`, "shard x.safetensors"},
		{"tensor in another shard", `{"weight_map":{"conv.weight":"` + one + `"}}`, `tensor "fc.weight", which the index does not list`},
		{"a tensor in another shard than the index says", `{"weight_map":{"fc.weight":"` + one + `","conv.weight":"` + two + `"}}`, `places tensor "conv.weight" in "model-00002`},
		{"tensor missing", `{"weight_map":{"conv.weight":"` + one + `","fc.weight":"` + one + `","z":"` + one + `"}}`, `"z" is not in shard`},
	} {
		path := writeShards(t, t.TempDir())
		if err := os.WriteFile(path, []byte(c.index), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := open(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
	}
}
