package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/bnfuse/bnfuse/verify"
)

// layersNamed is a result of layers that took one norm each.
func layersNamed(names ...string) *verify.Result {
	r := &verify.Result{}
	for _, name := range names {
		r.Layers = append(r.Layers, verify.Layer{Name: name, Op: "Conv", Norms: []string{name + "/BatchNormalization"}})
	}
	return r
}

// TestColumns: columns stand below each other whatever the width of the characters, fit into a terminal, and
// nothing in a name changes the terminal.
func TestColumns(t *testing.T) {
	long := "/features/" + strings.Repeat("block/", 12) + "Conv"
	for _, width := range []int{0, 68, 80, 400} {
		var b strings.Builder
		if err := layersNamed("conv1", "畳み込み/層", long, "a\x1b[2Jb\nc").WriteTable(&b, width, 0); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 5 || strings.Contains(b.String(), "\x1b") {
			t.Errorf("width %d: %q", width, lines)
		}
		at := -1
		for _, l := range lines {
			n := text.StringWidth(l[:max(strings.LastIndex(l, "right"), strings.LastIndex(l, "VERDICT"))])
			if at >= 0 && n != at || width > 0 && text.StringWidth(l) > width {
				t.Errorf("width %d: %q", width, l)
			}
			at = n
		}
		shortened := width == 68 || width == 80
		if strings.Contains(b.String(), long) == shortened || strings.Contains(b.String(), "…") != shortened || !strings.Contains(b.String(), "block/Conv") {
			t.Errorf("width %d: %s", width, b.String())
		}
		if strings.Contains(b.String(), "BatchNormalization") == shortened {
			t.Errorf("width %d: %s", width, b.String())
		}
	}
}

// TestColumnsOfZoos: the models' names give way, the verdicts do not.
func TestColumnsOfZoos(t *testing.T) {
	r := &verify.ZooResult{}
	for i := range 3 {
		r.Models = append(r.Models, verify.ZooModel{Path: strings.Repeat("模型/", 40*i) + fmt.Sprint("m", i, ".onnx"), Output: "x", Result: &verify.Result{}})
	}
	for _, width := range []int{10, 70} {
		var b strings.Builder
		if err := r.WriteTable(&b, width, 0); err != nil {
			t.Fatal(err)
		}
		for i, l := range strings.Split(b.String(), "\n")[1:4] {
			if n := text.StringWidth(l); n > max(width, 55) || !strings.Contains(l, fmt.Sprint("m", i, ".onnx ")) || !strings.HasSuffix(l, "right") {
				t.Errorf("width %d: %d: %q", width, n, l)
			}
		}
	}
}
