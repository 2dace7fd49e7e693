package zoo

import (
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, matches, others string
	}{
		{"*.onnx", "a.onnx b/a.onnx b/c/.onnx b/x.onnx/readme", "a.onnx.data onnx a.ONNX"},
		{"b", "b a/b b/c a/b/c", "bb a/bb"},
		{"/b", "b b/c", "a/b bb"},
		{"b/", "b b/c a/b/c", "bb"},
		{"a/*.pt", "a/x.pt", "x.pt b/a/x.pt a/b/x.pt"},
		{"a/**/x.pt", "a/x.pt a/b/x.pt a/b/c/x.pt", "x.pt b/a/x.pt a/y.pt"},
		{"a/**", "a/x a/b/c", "a b/a b/a/x"},
		{"**/x", "x a/x a/b/x x/y", "ax a/xa"},
		{"**", "a a/b", ""},
		{"**/**/b/**/**/d", "b/d a/b/c/d b/c/c/d/e", "a/b d"},
		{"a?c/[x-z]", "abc/x abc/y/w", "ac/x abc/w"},
		{"./a//b", "a/b", "b"},
		{"a\xffb", "a\xffb c/a\xffb", "aXb"},
	} {
		g, err := ParseGlob(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		}
		for p := range strings.FieldsSeq(c.matches) {
			if !g.Match(p) {
				t.Errorf("%s does not match %s", c.pattern, p)
			}
		}
		for p := range strings.FieldsSeq(c.others) {
			if g.Match(p) {
				t.Errorf("%s matches %s", c.pattern, p)
			}
		}
	}
	for _, bad := range []string{"", "[", "a/[b", `a\`} {
		if _, err := ParseGlob(bad); err == nil {
			t.Errorf("%q is taken for a pattern", bad)
		}
	}
}

// TestGlobIsLinear: a pattern made to be slow is not.
func TestGlobIsLinear(t *testing.T) {
	g, err := ParseGlob(strings.Repeat("**/a/", 100) + "b")
	if err != nil {
		t.Fatal(err)
	}
	if g.Match(strings.Repeat("a/", 2000) + "c") {
		t.Error("it matches")
	}
}
