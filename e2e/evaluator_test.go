package e2e

import (
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestEvaluatorAgrees compares onnxtest's evaluator, the judge of what ONNX Runtime cannot run, with ONNX
// Runtime where both can: an evaluator with a mistake of its own might call a wrong fold right.
func TestEvaluatorAgrees(t *testing.T) {
	needRuntime(t)
	eachModel(t, func(t *testing.T, model string, want expectation) {
		s, err := openSession(model)
		if err != nil {
			t.Fatal(err)
		}
		defer s.run.Destroy()
		feed := randomFeed(s.inputs, want.Inputs, 1)
		runtime, err := s.infer(feed)
		if err != nil {
			t.Fatal(err)
		}
		evaluated, err := evaluate(t, model, feed)
		if err != nil {
			t.Fatal(err)
		}
		for i := range runtime {
			e, err := relativeError(evaluated[i], runtime[i])
			if err != nil || e > want.Tolerance {
				t.Errorf("output %q differs by %.3g (%v)", runtime[i].name, e, err)
			}
		}
	})
}

// evaluate runs the model in onnxtest's evaluator.
func evaluate(t *testing.T, model string, feed []values) ([]values, error) {
	t.Helper()
	m := parseModel(t, model)
	files := map[string][]byte{}
	for _, location := range externalFiles(t, model) {
		files[location] = readFile(t, filepath.Join(filepath.Dir(model), location))
	}
	if err := m.Load(files); err != nil {
		return nil, err
	}
	inputs := map[string]onnxtest.Array{}
	for i, v := range realInputs(m) {
		array := onnxtest.Array{Elem: v.Elem, Data: feed[i].data}
		for _, d := range feed[i].shape {
			array.Dims = append(array.Dims, int(d))
		}
		inputs[v.Name] = array
	}
	outputs, err := onnxtest.Eval(m, inputs)
	if err != nil {
		return nil, err
	}
	var list []values
	for _, v := range m.Graph.Outputs {
		shape := []int64{}
		for _, d := range outputs[v.Name].Dims {
			shape = append(shape, int64(d))
		}
		list = append(list, values{v.Name, shape, outputs[v.Name].Data})
	}
	return list, nil
}
