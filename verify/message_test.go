package verify_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// TestWeightMessages: of a wrong weight, what it should be is said beside what it is and was.
func TestWeightMessages(t *testing.T) {
	p := find(t, "chain/two norms")
	n := node(p.b, "conv")
	w := initializer(p.b, n.In[1])
	was, want := initializer(p.a, n.In[1]).Data[0], w.Data[0]
	change(w, func(i int, x float64) float64 {
		if i == 0 {
			return -3
		}
		return x
	})
	said := explain(p.verify(t))
	for _, words := range []string{"the first of channel 0: -3 should be " + number(want), "since it was " + number(was)} {
		if !strings.Contains(said, words) {
			t.Errorf("%q is not in: %s", words, said)
		}
	}

	p.reload(t)
	change(initializer(p.a, n.In[1]), func(int, float64) float64 { return math.NaN() })
	change(initializer(p.b, n.In[1]), func(int, float64) float64 { return math.NaN() })
	flip(initializer(p.b, n.In[1]), 0)
	if said := explain(p.verify(t)); !strings.Contains(said, "NaN should be other bits of it") {
		t.Error(said)
	}
}

// number is a float32 in the fewest digits.
func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 32) }
