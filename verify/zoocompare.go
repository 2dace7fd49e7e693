package verify

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// compare compares one file or model.
func (z *zoo) compare(ctx context.Context, e entry) finding {
	original, fused := z.was.file(e.path), z.is.file(e.output)
	if !e.isModel() {
		return z.compareFile(e, original, fused)
	}
	m := &ZooModel{Path: e.path, Output: e.output}
	var err error
	switch {
	case e.err != nil:
		err = e.err
	case e.output == "" && e.kind == kindUnreadable:
		err = errors.New("it is missing in the fused folder, and the original is not a model that can be read")
	case e.output == "":
		err = errors.New("it is missing in the fused folder")
	case e.kind == kindUnreadable:
		m.Result, err = sameModels(original, fused)
	case e.kind == kindONNX:
		m.Result, err = Files(ctx, original, fused)
	default:
		m.Result, err = Checkpoints(ctx, original, fused, z.optionsOf(e))
	}
	if err != nil {
		m.Error = err.Error()
	}
	return finding{model: m}
}

// sameModels compares two files of which the first cannot be read as a model.
func sameModels(original, fused string) (*Result, error) {
	r := newResult(original, fused)
	same, err := equalFiles(fused, original)
	if err == nil && !same {
		r.Differences = append(r.Differences, Difference{fused, "the original is not a model that can be read, and this is another file"})
	}
	return r, err
}

// compareFile wants a file that is no model to be the same.
func (z *zoo) compareFile(e entry, original, fused string) finding {
	what := ""
	switch same, err := false, e.err; {
	case err != nil:
		what = err.Error()
	case e.output == "":
		what = "the file is missing in the fused folder"
	default:
		if same, err = equalFiles(fused, original); err != nil {
			what = err.Error()
		} else if !same {
			what = "the file is not the original's"
		}
	}
	if what == "" {
		return finding{}
	}
	return finding{differences: []Difference{{e.path, what}}}
}

// optionsOf finds what tells the pairs of a checkpoint: a pattern that matches it, an ONNX model of the same
// stem beside it, or what holds for all.
func (z *zoo) optionsOf(e entry) Options {
	for _, g := range z.options.Graphs {
		if matchPath(g.Glob, e.path) {
			return Options{Graph: g.Graph}
		}
	}
	if beside := stem(e.path) + ".onnx"; z.was.files[beside] == kindONNX {
		return Options{Graph: z.was.file(beside)}
	}
	return z.options.Options
}

// file is where a file of the tree lies; "" for none.
func (t *tree) file(p string) string {
	if p == "" {
		return ""
	}
	return filepath.Join(t.dir, filepath.FromSlash(p))
}

// kindONNX stands beside the kinds of checkpoints.
const kindONNX state.Kind = "onnx"
