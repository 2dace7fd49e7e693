package e2e

import (
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestHarnessAcceptsTheSame compares every model with itself.
func TestHarnessAcceptsTheSame(t *testing.T) {
	needRuntime(t)
	eachModel(t, func(t *testing.T, model string, want expectation) {
		equivalent(t, model, model, normal(want.Inputs), 0)
	})
}

// TestHarnessNotices makes the mistakes that a fold could make: one channel scaled wrongly, a wrong epsilon.
// Were the comparison to call these models equal, the other tests would prove nothing.
func TestHarnessNotices(t *testing.T) {
	needRuntime(t)
	for mistake, commit := range map[string]func(*onnxtest.Model) bool{"one channel": scaleOneChannel, "epsilon": enlargeEpsilon} {
		t.Run(mistake, func(t *testing.T) {
			eachModel(t, func(t *testing.T, model string, want expectation) {
				spoiled := filepath.Join(t.TempDir(), "spoiled.onnx")
				copyModel(t, model, spoiled)
				m := parseModel(t, model)
				if !commit(m) {
					t.Skip("no place for this mistake")
				}
				writeFile(t, spoiled, m.Bytes())
				e, err := difference(model, spoiled, normal(want.Inputs))
				if err != nil {
					t.Error(err)
				} else if e <= want.Tolerance {
					t.Errorf("the outputs differ by %.3g only, within %.3g", e, want.Tolerance)
				}
			})
		})
	}
}

// scaleOneChannel makes the first output channel of the first layer 1.3 times as large.
func scaleOneChannel(m *onnxtest.Model) bool {
	if normalizesByBatch(m) {
		return false // divides the factor out again
	}
	for i := range m.Graph.Init {
		t := &m.Graph.Init[i]
		if len(t.Dims) < 2 || len(t.Data) == 0 {
			continue
		}
		t.Bits = nil
		for j := range len(t.Data) / int(t.Dims[0]) {
			t.Data[j] *= 1.3
		}
		return true
	}
	return false
}

// enlargeEpsilon gives every norm an epsilon of 0.1.
func enlargeEpsilon(m *onnxtest.Model) bool {
	found := false
	m.EachNode(func(n *onnxtest.Node) {
		for i := range n.Attrs {
			if n.Op == "BatchNormalization" && n.Attrs[i].Name == "epsilon" {
				n.Attrs[i].F = 0.1
				found = true
			}
		}
	})
	return found
}

func normalizesByBatch(m *onnxtest.Model) bool {
	found := false
	m.EachNode(func(n *onnxtest.Node) {
		for _, a := range n.Attrs {
			found = found || a.Name == "training_mode" && a.I == 1
		}
	})
	return found
}
