package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	ort "github.com/yalue/onnxruntime_go"
)

// TestEvaluatorAgrees compares onnxtest's evaluator, the judge of what ONNX Runtime cannot run, with ONNX
// Runtime where both can: an evaluator with a mistake of its own might call a wrong fold right.
func TestEvaluatorAgrees(t *testing.T) {
	needRuntime(t)
	eachModel(t, func(t *testing.T, model string, want expectation) {
		agree(t, model, normal(want.Inputs), want.Tolerance)
	})
}

// agree fails the test unless the model gives the same in both.
func agree(t *testing.T, model string, feed feeder, tolerance float64) {
	t.Helper()
	err := disagreement(model, loadModel(t, model), feed, tolerance)
	if err != nil && strings.Contains(err.Error(), "unknown operator") {
		t.Skip(err)
	}
	if err != nil {
		t.Error(err)
	}
}

// disagreement runs a model file in ONNX Runtime, and m, what it holds, in the evaluator.
func disagreement(path string, m *onnxtest.Model, feed feeder, tolerance float64) error {
	s, err := openSession(path)
	if err != nil {
		return err
	}
	defer s.run.Destroy()
	inputs := feed(s.inputs, 1)
	inRuntime, err := s.infer(inputs)
	if err != nil {
		return err
	}
	inFloat64, err := onnxtest.Eval(m, arrays(s.inputs, inputs))
	if err != nil {
		return err
	}
	for _, out := range inRuntime {
		e, err := relativeError(fromArray(out.name, inFloat64[out.name]), out)
		if err != nil {
			return err
		}
		if !(e <= tolerance) {
			return fmt.Errorf("output %q differs by %.3g", out.name, e)
		}
	}
	return nil
}

// loadModel parses a model and loads its external files.
func loadModel(t *testing.T, model string) *onnxtest.Model {
	t.Helper()
	files := map[string][]byte{}
	for _, location := range externalFiles(t, model) {
		files[location] = readFile(t, filepath.Join(filepath.Dir(model), location))
	}
	m := parseModel(t, model)
	if err := m.Load(files); err != nil {
		t.Fatal(err)
	}
	return m
}

func arrays(infos []ort.InputOutputInfo, list []values) map[string]onnxtest.Array {
	inputs := map[string]onnxtest.Array{}
	for i, v := range list {
		a := onnxtest.Array{Elem: onnxtest.ElemType(infos[i].DataType), Data: v.data} // ONNX Runtime numbers the types as ONNX does
		for _, d := range v.shape {
			a.Dims = append(a.Dims, int(d))
		}
		inputs[v.name] = a
	}
	return inputs
}

func fromArray(name string, a onnxtest.Array) values {
	v := values{name: name, shape: []int64{}, data: a.Data}
	for _, d := range a.Dims {
		v.shape = append(v.shape, int64(d))
	}
	return v
}
