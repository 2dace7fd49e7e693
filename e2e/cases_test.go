package e2e

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	ort "github.com/yalue/onnxruntime_go"
)

// TestCases folds the small models of onnxtest, one or more for each rule. Each names the norms that must
// go and those that must stay; the case itself checks that and evaluates in float64, ONNX Runtime has the
// last word.
func TestCases(t *testing.T) {
	for _, c := range onnxtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			model, out := writeCase(t, c), filepath.Join(t.TempDir(), "out.onnx")
			r := fuse(t, model, out)
			checkReport(t, c, r)
			if len(c.WantFolded)+len(c.Either) == 0 && !bytes.Equal(readFile(t, model), readFile(t, out)) {
				t.Error("nothing is to be folded, and the output is not a copy")
			}
			files := map[string][]byte{}
			for _, location := range externalFiles(t, out) {
				files[location] = readFile(t, filepath.Join(filepath.Dir(out), location))
			}
			if err := c.Check(readFile(t, out), files); err != nil {
				t.Error(err)
			}
			if c.NoORT == "" && !c.NonFinite {
				equivalent(t, model, out, given(c), caseTolerance(c.Model))
			}
			again := filepath.Join(t.TempDir(), "out.onnx")
			fuse(t, out, again)
			sameTree(t, filepath.Dir(again), readTree(t, filepath.Dir(out)))
		})
	}
}

func writeCase(t *testing.T, c onnxtest.Case) string {
	t.Helper()
	model := filepath.Join(t.TempDir(), "model.onnx")
	writeFile(t, model, c.Model.Bytes())
	for location, data := range c.Model.Files() {
		writeFile(t, filepath.Join(filepath.Dir(model), location), data)
	}
	return model
}

// checkReport looks for the case's norms in the report. Kept norms that are written out as arithmetic
// need not be there.
func checkReport(t *testing.T, c onnxtest.Case, r report) {
	t.Helper()
	status, reason := map[string]string{}, map[string]string{}
	for _, n := range r.Norms {
		status[n.Name], reason[n.Name] = n.Status, n.Reason
	}
	for name := range status {
		known := slices.Contains(c.WantFolded, name) || slices.Contains(c.Either, name)
		if _, keep := c.WantKept[name]; status[name] == "folded" && (keep || !known) {
			t.Errorf("the report says that %q is folded\nbecause: %s", name, c.Why)
		}
	}
	for name, want := range c.WantKept {
		if status[name] == "kept" && !strings.HasPrefix(reason[name], string(want)) { // details follow
			t.Errorf("%q is kept: %s; want: %s", name, reason[name], want)
		}
	}
	c.Model.EachNode(func(n *onnxtest.Node) {
		if _, keep := c.WantKept[n.Name]; keep && n.Op == "BatchNormalization" && n.Domain == "" && status[n.Name] != "kept" {
			t.Errorf("the report does not say that %q is kept: %q", n.Name, status[n.Name])
		}
	})
}

// given feeds the case's own inputs. Initializers that are inputs too keep their values.
func given(c onnxtest.Case) feeder {
	return func(inputs []ort.InputOutputInfo, seed uint64) []values {
		arrays := c.Inputs
		if arrays == nil {
			arrays = onnxtest.RandomInputs(c.Model, seed)
		}
		var feed []values
		for _, info := range inputs {
			feed = append(feed, fromArray(info.Name, arrays[info.Name]))
		}
		return feed
	}
}

// caseTolerance goes by the coarsest type of number in the model.
func caseTolerance(m *onnxtest.Model) float64 {
	tolerance := 1e-11
	m.EachTensor(func(t *onnxtest.Tensor) {
		switch t.Elem {
		case onnxtest.Float16:
			tolerance = max(tolerance, 2e-2)
		case onnxtest.Float32:
			tolerance = max(tolerance, 1e-4)
		}
	})
	return tolerance
}

// TestCasesHaveJudges: ONNX Runtime and the evaluator agree on every case that both are to judge. A case
// that excuses one of them must need to: where it runs and agrees after all, the case would go half judged.
func TestCasesHaveJudges(t *testing.T) {
	needRuntime(t)
	for _, c := range onnxtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			model := writeCase(t, c)
			err := disagreement(model, loadModel(t, model), given(c), caseTolerance(c.Model))
			switch {
			case c.NoORT != "" && c.NoEval != "":
				if len(c.WantFolded)+len(c.Either) > 0 { // else the output must be a copy, and needs no judge
					t.Errorf("no one judges this case: %s; %s", c.NoORT, c.NoEval)
				}
			case c.NoORT != "" || c.NoEval != "":
				if err == nil && len(c.Model.Graph.Outputs) > 0 {
					t.Errorf("both judges run this case and agree, although: %s%s", c.NoORT, c.NoEval)
				}
			case c.NonFinite:
			case err != nil:
				t.Error(err)
			}
		})
	}
}
