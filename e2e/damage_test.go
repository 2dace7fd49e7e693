package e2e

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

const (
	cuts      = 50
	flips     = 30
	smallHeap = 256 << 20 // more than any of these models could need; a believed length would ask for more
)

// eachDamaged runs test for a copy of every model of testdata, alone in a folder and free to be spoiled.
func eachDamaged(t *testing.T, test func(t *testing.T, model string)) {
	eachModel(t, func(t *testing.T, model string, _ expectation) {
		if testing.Short() && strings.HasPrefix(stem(model), "stem_") {
			t.Skip("these differ from one another in little but the opset")
		}
		spoiled := filepath.Join(t.TempDir(), "model.onnx")
		copyModel(t, model, spoiled)
		test(t, spoiled)
	})
}

// TestTruncated cuts models short, then their external files. Either is an error that names the model, unless
// what is left of it is a model by itself.
func TestTruncated(t *testing.T) {
	eachDamaged(t, func(t *testing.T, model string) {
		whole := readFile(t, model)
		for i := range cuts {
			n := len(whole) * i / cuts
			if i > cuts-5 {
				n = len(whole) - (cuts - i)
			}
			writeFile(t, model, whole[:n])
			left, err := onnxtest.Parse(whole[:n])
			complete := err == nil && left.Graph != nil && len(left.Opsets) > 0
			if code := fuseDamaged(t, model); code == 0 && !complete {
				t.Errorf("the first %d of %d bytes were taken for a model", n, len(whole))
			}
		}
		writeFile(t, model, whole)
		for _, location := range externalFiles(t, model) {
			path := filepath.Join(filepath.Dir(model), location)
			data := readFile(t, path)
			writeFile(t, path, data[:len(data)-1])
			if fuseDamaged(t, model) == 0 {
				t.Errorf("%s lacks its last byte, and that was no error", location)
			}
			writeFile(t, path, data)
		}
	})
}

// TestFlippedBits flips one bit of a model at a time. That may leave a model or not; neither may do harm.
func TestFlippedBits(t *testing.T) {
	eachDamaged(t, func(t *testing.T, model string) {
		whole := readFile(t, model)
		random := rand.New(rand.NewPCG(1, uint64(len(whole))))
		for range flips {
			at, bit := random.IntN(len(whole)), random.IntN(8)
			whole[at] ^= 1 << bit
			writeFile(t, model, whole)
			whole[at] ^= 1 << bit
			fuseDamaged(t, model)
		}
	})
}

// fuseDamaged folds model and gives the exit code. Where that is not 0, the folder is as it was and the
// message names the file; where it is, the output is as much of a model as the input.
func fuseDamaged(t *testing.T, model string) int {
	t.Helper()
	before := readTree(t, filepath.Dir(model))
	out := filepath.Join(t.TempDir(), "out.onnx")
	r := bnfuse(t, "fuse", model, "-o", out)
	sameTree(t, filepath.Dir(model), before)
	if r.maxRSS > smallHeap {
		t.Errorf("used %d MiB of memory", r.maxRSS>>20)
	}
	if r.code == 0 {
		_, inErr := onnxtest.Parse(readFile(t, model))
		if _, err := onnxtest.Parse(readFile(t, out)); err != nil && inErr == nil {
			t.Errorf("the output is no model: %v", err)
		}
		return 0
	}
	sameTree(t, filepath.Dir(out), map[string]string{})
	if r.code != 1 || !strings.Contains(r.stderr, filepath.Base(model)) {
		t.Errorf("exit %d, and standard error says %q", r.code, r.stderr)
	}
	return r.code
}
