package onnx

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func sniff(b []byte) bool { return Sniff(bytes.NewReader(b), int64(len(b))) }

// TestSniffModels: every model is known, and no longer when its end is missing.
func TestSniffModels(t *testing.T) {
	paths, err := filepath.Glob("../testdata/*.onnx")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d models, %v", len(paths), err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !sniff(b) {
			t.Errorf("%s is not known", path)
		}
		for _, n := range []int{0, 1, 2, 100, len(b) / 2, len(b) - 1} {
			if sniff(b[:n]) {
				t.Errorf("%s: the first %d of %d bytes are taken for a model", path, n, len(b))
			}
		}
		if sniff(append(b, "more"...)) {
			t.Errorf("%s: with a tail it is taken for a model", path)
		}
	}
}

// TestSniffOthers: what lies beside models is none.
func TestSniffOthers(t *testing.T) {
	field := func(b []byte, num protowire.Number, v string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
	}
	number := func(b []byte, num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
	}
	model := field(number(nil, 1, 8), 7, "\x12\x01g")
	if !sniff(model) {
		t.Fatal("the smallest model is not known")
	}
	for _, c := range []struct{ why, file string }{
		{"empty", ""},
		{"text", "# A model\n\nIt knows cats.\n"},
		{"text that is a graph's tag, a length and as many letters", ":\x20" + strings.Repeat("a", 32)},
		{"JSON", `{"architectures": ["ResNet"]}`},
		{"PNG", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"},
		{"zeros", strings.Repeat("\x00", 1000)},
		{"float32 weights", strings.Repeat("\x00\x00\x80\x3f", 1000)},
		{"a graph alone", string(field(nil, 7, "\x12\x01g"))},
		{"no graph", string(number(nil, 1, 8))},
		{"a graph that is text", string(field(number(nil, 1, 8), 7, "graph"))},
		{"a number for the graph", string(number(number(nil, 1, 8), 7, 1))},
		{"TensorFlow SavedModel: saved_model_schema_version, meta_graphs", string(field(number(nil, 1, 1), 2, "graph"))},
		{"TensorFlow GraphDef: node, versions", string(field(field(nil, 1, "\n\x01x"), 4, "\x08\x01"))},
		{"Caffe NetParameter: name, layer", string(field(field(nil, 1, "LeNet"), 100, "\n\x04data"))},
		{"Core ML: specificationVersion, description, neuralNetwork", string(field(field(number(nil, 1, 4), 2, "\n\x01x"), 500, "\n\x01x"))},
		{"ONNX TensorProto: dims, data_type, raw_data", string(field(number(number(nil, 1, 1), 2, 1), 9, "\x00\x00\x80\x3f"))},
		{"a model and a field that models do not have", string(field(bytes.Clone(model), 99, "x"))},
	} {
		if sniff([]byte(c.file)) {
			t.Errorf("%s is taken for a model", c.why)
		}
	}
	var noise []byte
	for i := range 20_000 { // a hash is as random as it gets, and the same in every run
		h := sha256.Sum256(fmt.Append(nil, i))
		noise = append(noise, h[:]...)
		if sniff(h[:1+i%32]) {
			t.Errorf("noise %d is taken for a model", i)
		}
	}
	if sniff(noise) {
		t.Error("noise is taken for a model")
	}
}

// TestSniffIsShort: of a large model little is read, and a hostile file costs no more than an honest one.
func TestSniffIsShort(t *testing.T) {
	tiny := bytes.Repeat([]byte("\x08\x01"), 1<<20)
	file := &countingReader{b: tiny}
	if Sniff(file, int64(len(tiny))) || file.n > 3*maxSniffed {
		t.Errorf("of %d bytes %d were read", len(tiny), file.n)
	}
	b, err := os.ReadFile("../testdata/resnet.onnx")
	if err != nil {
		t.Fatal(err)
	}
	file = &countingReader{b: b}
	if !Sniff(file, int64(len(b))) || file.n > 4*sniffWindow {
		t.Errorf("of %d bytes %d were read", len(b), file.n)
	}
	if Sniff(bytes.NewReader(nil), 100) {
		t.Error("a file that is shorter than was said is taken for a model")
	}
}

type countingReader struct {
	b []byte
	n int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(c.b).ReadAt(p, off)
	c.n += n
	return n, err
}

// FuzzSniff: what is taken for a model is one message by protobuf's own reader too, and no longer without its
// last byte.
func FuzzSniff(f *testing.F) {
	for _, name := range []string{"resnet", "two_heads", "control_flow", "stem_opset07"} {
		b, err := os.ReadFile("../testdata/" + name + ".onnx")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 1<<12)])
	}
	f.Add([]byte("\x08\x08:\x03\x12\x01gB\x02\x10\x11"))
	f.Fuzz(func(t *testing.T, b []byte) {
		Locations(bytes.NewReader(b), int64(len(b))) // whatever it says, it comes back
		if len(b) > maxSniffed || !sniff(b) {
			return
		}
		if sniff(b[:len(b)-1]) {
			t.Error("a cut model is taken for a whole one")
		}
		has := map[protowire.Number]bool{}
		for rest := b; len(rest) > 0; {
			num, _, n := protowire.ConsumeField(rest)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			has[num] = true
			rest = rest[n:]
		}
		if !has[1] || !has[7] {
			t.Errorf("fields %v", has)
		}
	})
}
