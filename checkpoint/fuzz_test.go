package checkpoint

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// seeds adds the real files that match.
func seeds(f *testing.F, patterns ...string) {
	for _, p := range patterns {
		paths, _ := filepath.Glob(p)
		for _, path := range paths {
			if b, err := os.ReadFile(path); err == nil && len(b) < 64<<10 {
				f.Add(b)
			}
		}
	}
}

// fuzzFile wants a checkpoint or an error of a file; of a checkpoint, that it can be fused and its output
// read again, with nothing left to fold.
func fuzzFile(t *testing.T, b []byte) {
	Sniff(bytes.NewReader(b), int64(len(b)), "in")
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	o := Options{Engine: narrow{host.New(), 1, 1 << 16}, Pairs: NamesPairs, Eps: 1e-5}
	out := path + ".safetensors"
	if _, err := FuseFile(context.Background(), path, out, o); err != nil {
		return
	}
	res, err := Inspect(context.Background(), out, o)
	if err != nil {
		t.Fatalf("the output cannot be read: %v", err)
	}
	if len(res.Plan.Steps) > 0 {
		t.Fatalf("a second run folds %q", res.Plan.Steps[0].Norm.Name)
	}
}

// FuzzSafetensors wants a checkpoint or an error from any safetensors file.
func FuzzSafetensors(f *testing.F) {
	seeds(f, "testdata/*.safetensors", "../testdata/*.safetensors")
	f.Fuzz(fuzzFile)
}

// FuzzPickle wants a value or an error from any pickle.
func FuzzPickle(f *testing.F) {
	for _, name := range []string{"plain.pt", "protocol4.pt", "strided.pt", "wrapped.pt", "tied.pt", "module.pt"} {
		f.Add(pickleOf(f, filepath.Join("testdata", name)))
	}
	seeds(f, "testdata/legacy.pt")
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStorages()
		top, err := newUnpickler(bytes.NewReader(b), int64(len(b)), s).load()
		if err != nil {
			return
		}
		for _, st := range s.order {
			st.src, st.nBytes = bytes.NewReader(nil), 1<<20
		}
		newStateDict(nil, int64(len(b)), top, len(b)%2 == 1)
	})
}

// FuzzZip wants a checkpoint or an error from any archive, and from any legacy file.
func FuzzZip(f *testing.F) {
	seeds(f, "testdata/*.pt", "../testdata/*.pt")
	f.Fuzz(fuzzFile)
}

// FuzzPairs wants pairs or an error from any pairs file, and the same pairs from what they are written as.
func FuzzPairs(f *testing.F) {
	f.Add([]byte("pairs:\n  - {layer: conv1, norm: bn1, kind: Conv, groups: 2, eps: 1e-05, direction: before, padded: true}\n"))
	f.Add([]byte(`{"pairs": [{"layer": "conv1", "norm": "bn1", "kind": "Linear", "eps": 0.001}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		pairs, err := parsePairs(b, 1e-5)
		if err != nil {
			return
		}
		for _, p := range pairs {
			p.Kind.View(fuse.After, []int{4, 4, 1}, p.Groups)
		}
		var text bytes.Buffer
		if err := WritePairs(&text, pairs); err != nil {
			t.Fatal(err)
		}
		if again, err := parsePairs(text.Bytes(), 0); err != nil || len(again) != len(pairs) {
			t.Fatalf("%v from\n%s", err, text.Bytes())
		}
	})
}
