package verify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/verify"
)

// TestZooNameOfAnother: a file stands for one original. x.pt.safetensors of the original folder is not what x.pt
// became, even if it would do; where it is left out, it may be.
func TestZooNameOfAnother(t *testing.T) {
	z := &zooPair{t, filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")}
	z.copy("resnet.onnx", "resnet.onnx")
	z.copy("resnet.pt", "resnet.pt")
	z.fuse("resnet.onnx", "resnet.onnx", "")
	z.fuse("resnet.pt", "resnet.pt.safetensors", "resnet.onnx")
	if r := z.verify(verify.ZooOptions{}); !r.OK() {
		t.Fatal(table(t, r))
	}
	b, err := os.ReadFile(filepath.Join(z.out, "resnet.pt.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	z.write(z.in, "resnet.pt.safetensors", b)
	if r := z.verify(verify.ZooOptions{}); r.OK() || r.Failed() != 1 || !strings.Contains(table(t, r), "resnet.pt: it is missing") {
		t.Error(table(t, r))
	}
	if r := z.verify(verify.ZooOptions{Include: []string{"resnet.pt", "resnet.onnx"}}); !r.OK() || len(r.Models) != 2 {
		t.Error(table(t, r))
	}
}

// TestZooUnreadableModels: a file that is named as a model and is none counts as one, as in zoo's own count. It
// may be there unchanged.
func TestZooUnreadableModels(t *testing.T) {
	z, o := newZoo(t)
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n"
	names := []string{"empty.onnx", "vision/cut.PT", "pointer.bin"}
	for _, name := range names {
		z.write(z.in, name, []byte(pointer))
	}
	z.write(z.in, "pointer.txt", []byte(pointer)) // whatever it is, it is no model
	z.write(z.out, "pointer.txt", []byte(pointer))
	r := z.verify(o)
	said := table(t, r)
	if len(r.Models) != 14 || r.Failed() != 3 || len(r.Differences) != 0 || strings.Count(said, " MISSING\n") != 3 || strings.Count(said, "not a model that can be read") != 3 {
		t.Error(said)
	}
	for _, name := range names {
		z.write(z.out, name, []byte(pointer))
	}
	if r := z.verify(o); !r.OK() || len(r.Models) != 14 {
		t.Error(table(t, r))
	}
	z.write(z.out, names[0], []byte("y"))
	if r := z.verify(o); r.Failed() != 1 || !strings.Contains(table(t, r), "this is another file") {
		t.Error(table(t, r))
	}
}

// TestZooUnreadableFolder: the rest is compared.
func TestZooUnreadableFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads every folder")
	}
	for _, side := range []string{"in", "out"} {
		z, o := newZoo(t)
		dir := filepath.Join(map[string]string{"in": z.in, "out": z.out}[side], "closed")
		if err := os.Mkdir(dir, 0); err != nil {
			t.Fatal(err)
		}
		r := z.verify(o)
		if r.OK() || r.Failed()+len(r.Differences) != 1 || !strings.Contains(table(t, r), "closed: ") || !strings.Contains(table(t, r), "permission denied") {
			t.Errorf("%s: %s", side, table(t, r))
		}
	}
}
