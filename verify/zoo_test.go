package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/verify"
)

// zooPair is a folder of models and one of what they should become.
type zooPair struct {
	t       *testing.T
	in, out string
}

func (z *zooPair) write(dir, p string, b []byte) {
	z.t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(p))
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		z.t.Fatal(err)
	}
	if err := os.WriteFile(full, b, 0o666); err != nil {
		z.t.Fatal(err)
	}
}

// copy puts a file of testdata into the zoo.
func (z *zooPair) copy(name, p string) {
	z.t.Helper()
	b, err := os.ReadFile(filepath.Join("../testdata", name))
	if err != nil {
		z.t.Fatal(err)
	}
	z.write(z.in, p, b)
}

// fuse folds a model of the zoo into the other folder.
func (z *zooPair) fuse(from, to, graph string) {
	z.t.Helper()
	in, out := filepath.Join(z.in, from), filepath.Join(z.out, to)
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		z.t.Fatal(err)
	}
	engine := host.New()
	defer engine.Close()
	var err error
	if strings.HasSuffix(from, ".onnx") {
		_, err = onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: engine})
	} else {
		if graph != "" {
			graph = filepath.Join(z.in, graph)
		}
		_, err = checkpoint.FuseFile(context.Background(), in, out, checkpoint.Options{Engine: engine, Graph: graph})
	}
	if err != nil {
		z.t.Fatal(err)
	}
}

func (z *zooPair) verify(o verify.ZooOptions) *verify.ZooResult {
	z.t.Helper()
	r, err := verify.Zoo(context.Background(), z.in, z.out, o)
	if err != nil {
		z.t.Fatal(err)
	}
	return r
}

// table is what is said of the zoo.
func table(t *testing.T, r *verify.ZooResult) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteTable(&b, 0, 0); err != nil {
		t.Fatal(err)
	}
	return b.String() + r.Summary()
}

// newZoo is a small zoo with something of every kind.
func newZoo(t *testing.T) (*zooPair, verify.ZooOptions) {
	t.Helper()
	z := &zooPair{t, filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")}
	for _, ext := range []string{".onnx", ".pt", ".safetensors"} {
		z.copy("resnet"+ext, "vision/resnet"+ext)
	}
	z.fuse("vision/resnet.onnx", "vision/resnet.onnx", "")
	z.fuse("vision/resnet.pt", "vision/resnet.pt.safetensors", "vision/resnet.onnx")
	z.fuse("vision/resnet.safetensors", "vision/resnet.safetensors", "vision/resnet.onnx")

	z.copy("external_data.onnx", "large/net.onnx") // it names its data by another stem
	z.copy("external_data.onnx.data", "large/external_data.onnx.data")
	z.fuse("large/net.onnx", "large/net.onnx", "")

	z.copy("mobilenet_v2.onnx", "graphs/mobile.onnx")
	z.copy("mobilenet_v2.pt", "mobile/1/weights.bin")
	z.copy("mobilenet_v2.safetensors", "mobile/2/weights.safetensors")
	z.fuse("graphs/mobile.onnx", "graphs/mobile.onnx", "")
	z.fuse("mobile/1/weights.bin", "mobile/1/weights.bin.safetensors", "graphs/mobile.onnx")
	z.fuse("mobile/2/weights.safetensors", "mobile/2/weights.safetensors", "graphs/mobile.onnx")

	z.copy("qsparse_net.pt", "unpaired.pt") // nothing to fold, so it went along
	for _, dir := range []string{z.in, z.out} {
		b, err := os.ReadFile("../testdata/qsparse_net.pt")
		if err != nil {
			t.Fatal(err)
		}
		z.write(dir, "unpaired.pt", b)
		z.write(dir, "vision/config.json", []byte(`{"layers": 9}`))
		z.write(dir, "empty", nil)
		z.write(dir, "archive.pt", []byte("PK\x03\x04 which is no checkpoint"))
	}

	z.copy("resnet.safetensors", "models--a--b/blobs/0123")
	z.copy("resnet.onnx", "models--a--b/blobs/4567")
	z.write(z.in, "models--a--b/refs/main", []byte("1"))
	for name, blob := range map[string]string{"model.safetensors": "0123", "model.onnx": "4567"} {
		link := filepath.Join(z.in, "models--a--b/snapshots/1", name)
		if err := os.MkdirAll(filepath.Dir(link), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../blobs/"+blob, link); err != nil {
			t.Fatal(err)
		}
	}
	z.fuse("models--a--b/snapshots/1/model.onnx", "models--a--b/snapshots/1/model.onnx", "")
	z.fuse("models--a--b/snapshots/1/model.safetensors", "models--a--b/snapshots/1/model.safetensors", "vision/resnet.onnx")

	z.write(z.out, ".bnfuse-journal", []byte("ours"))
	z.write(z.out, "vision/.resnet.onnx.1-0.bnfuse-tmp", []byte("ours, of a run that was killed"))
	return z, verify.ZooOptions{Graphs: []verify.PathGraph{{Glob: "mobile/**/weights.*", Graph: filepath.Join(z.in, "graphs/mobile.onnx")}}}
}

// TestZooPair: a whole zoo is right, whatever the number of jobs.
func TestZooPair(t *testing.T) {
	z, o := newZoo(t)
	for _, jobs := range []int{0, 1, 7} {
		o.Jobs = jobs
		last := 0
		o.Progress = func(done, models int) {
			if done != last+1 || models != 11 {
				t.Errorf("%d of %d models after %d", done, models, last)
			}
			last = done
		}
		r := z.verify(o)
		if !r.OK() || len(r.Models) != 11 || last != 11 {
			t.Errorf("%d jobs: %d models: %s", jobs, len(r.Models), table(t, r))
		}
	}
	o.Progress = nil
	var b bytes.Buffer
	var back struct {
		verify.ZooResult
		OK bool
	}
	if err := z.verify(o).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || !back.OK || len(back.Models) != 11 || back.Models[1].Path != "graphs/mobile.onnx" {
		t.Errorf("%v: %s", err, b.Bytes())
	}
	if n := bytes.Count(b.Bytes(), []byte(`"verdict": "right"`)); n != 11 {
		t.Errorf("%d verdicts in %s", n, b.Bytes())
	}
	if r := z.verify(verify.ZooOptions{}); r.Failed() != 2 {
		t.Errorf("without the pattern: %s", table(t, r))
	}
}

// TestPlantedZoo: what can be wrong with a folder is found and named.
func TestPlantedZoo(t *testing.T) {
	for _, c := range []struct {
		what  string
		spoil func(z *zooPair)
		says  string
	}{
		{"a model is missing", func(z *zooPair) { z.remove("vision/resnet.pt.safetensors") }, "vision/resnet.pt: it is missing"},
		{"a model of a snapshot is missing", func(z *zooPair) { z.remove("models--a--b/snapshots/1/model.onnx") }, "model.onnx: it is missing"},
		{"a file is missing", func(z *zooPair) { z.remove("vision/config.json") }, "vision/config.json: the file is missing"},
		{"a file changed", func(z *zooPair) { z.write(z.out, "vision/config.json", []byte(`{"layers": 8}`)) }, "vision/config.json: the file is not"},
		{"a file is too many", func(z *zooPair) { z.write(z.out, "vision/more", []byte("x")) }, "vision/more: it is in the fused folder"},
		{"a model is too many", func(z *zooPair) { z.copyOut("vision/resnet.onnx", "vision/more.onnx") }, "vision/more.onnx: it is in the fused folder"},
		{"the unfused weights are still there", func(z *zooPair) { z.write(z.out, "vision/resnet.pt", []byte("x")) }, "vision/resnet.pt: it is in the fused folder"},
		{"external data are left over", func(z *zooPair) { z.write(z.out, "large/external_data.onnx.data", []byte("x")) }, "external_data.onnx.data: it is in the fused folder"},
		{"external data are missing", func(z *zooPair) { z.remove("large/net.onnx.data") }, "large/net.onnx: verify"},
		{"a model was copied for another", func(z *zooPair) { z.copyOut("vision/resnet.onnx", "graphs/mobile.onnx") }, "graphs/mobile.onnx"},
		{"a bit of a checkpoint", func(z *zooPair) { z.flip("mobile/1/weights.bin.safetensors") }, "mobile/1/weights.bin:"},
		{"a model is cut", func(z *zooPair) { z.cut("vision/resnet.safetensors") }, "vision/resnet.safetensors: verify"},
		{"a file of PyTorch that went along changed", func(z *zooPair) { z.flip("unpaired.pt") }, "unpaired.pt"},
		{"a link leads nowhere", func(z *zooPair) { z.removeIn("models--a--b/blobs/4567") }, "model.onnx"},
	} {
		t.Run(c.what, func(t *testing.T) {
			z, o := newZoo(t)
			c.spoil(z)
			r := z.verify(o)
			if said := table(t, r); r.OK() || !strings.Contains(said, c.says) {
				t.Errorf("%q is not in: %s", c.says, said)
			} else if n := r.Failed() + len(r.Differences); n > 2 {
				t.Errorf("one mistake gives %d: %s", n, said)
			}
		})
	}
}

func (z *zooPair) remove(p string) {
	z.t.Helper()
	if err := os.Remove(filepath.Join(z.out, p)); err != nil {
		z.t.Fatal(err)
	}
}

func (z *zooPair) removeIn(p string) {
	z.t.Helper()
	if err := os.Remove(filepath.Join(z.in, p)); err != nil {
		z.t.Fatal(err)
	}
}

// change rewrites a file of the fused folder.
func (z *zooPair) change(p string, change func([]byte) []byte) {
	z.t.Helper()
	b, err := os.ReadFile(filepath.Join(z.out, p))
	if err != nil {
		z.t.Fatal(err)
	}
	z.write(z.out, p, change(b))
}

func (z *zooPair) flip(p string) {
	z.change(p, func(b []byte) []byte { b[len(b)-100] ^= 1; return b })
}

func (z *zooPair) cut(p string) { z.change(p, func(b []byte) []byte { return b[:len(b)-1] }) }

func (z *zooPair) copyOut(from, to string) {
	z.change(from, func(b []byte) []byte { z.write(z.out, to, b); return b })
}

// TestZooFolders: folders that cannot be compared, and one inside the other.
func TestZooFolders(t *testing.T) {
	z, o := newZoo(t)
	if _, err := verify.Zoo(t.Context(), z.in, filepath.Join(z.out, "none"), o); err == nil || !strings.Contains(err.Error(), "none") {
		t.Error(err)
	}
	if _, err := verify.Zoo(t.Context(), z.in, z.out, verify.ZooOptions{Graphs: []verify.PathGraph{{Glob: "[", Graph: "x"}}}); err == nil {
		t.Error("a pattern that is none")
	}
	if _, err := verify.Zoo(t.Context(), z.in, filepath.Join(z.out, "empty"), o); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verify.Zoo(ctx, z.in, z.out, o); err == nil {
		t.Error("a context that has ended")
	}
	inside := filepath.Join(z.in, "out")
	if err := os.Rename(z.out, inside); err != nil {
		t.Fatal(err)
	}
	z.out = inside
	if r := z.verify(o); !r.OK() {
		t.Error(table(t, r))
	}
}

// TestResultsAreSmall: a result keeps nothing of the models alive, so a zoo of any size fits in memory.
func TestResultsAreSmall(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const n, most = 50, 16 << 10 // bytes of each; the checker of this model takes ten times that
	compare := func() *verify.Result {
		return verifiedState(t, "../testdata/mobilenet_v2.pt", "../testdata/mobilenet_v2.safetensors", verify.Options{Graph: "../testdata/mobilenet_v2.onnx"})
	}
	compare() // fills pools
	var kept []*verify.Result
	before := heap()
	for range n {
		kept = append(kept, compare(), verified(t, "../testdata/mobilenet_v2.onnx", "../testdata/mobilenet_v2.onnx"))
	}
	if after := heap(); after > before+2*n*most {
		t.Errorf("%d results take %d bytes", 2*n, after-before)
	}
	runtime.KeepAlive(kept)
}
