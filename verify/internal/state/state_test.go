package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const fixtures = "../../../checkpoint/testdata/"

// contents are a checkpoint's tensors with their elements, as text to compare.
func contents(d *Dict) (map[string]string, error) {
	all := map[string]string{}
	for _, t := range d.Tensors {
		b, err := io.ReadAll(t.Reader())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		if int64(len(b)) != t.NBytes {
			return nil, fmt.Errorf("%s has %d bytes, %d are promised", t.Name, len(b), t.NBytes)
		}
		all[t.Name] = fmt.Sprintf("%s %v %x", t.DType, t.Shape, b)
	}
	return all, nil
}

func open(t *testing.T, path string) *Dict {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(d.Close)
	return d
}

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFormatsAgree: however a state dict is written, it has the same tensors.
func TestFormatsAgree(t *testing.T) {
	want, err := contents(open(t, fixtures+"plain.safetensors"))
	if err != nil || len(want) == 0 {
		t.Fatal(want, err)
	}
	for _, name := range []string{"plain.pt", "legacy.pt", "parts.pt", "protocol4.pt", "strided.pt", "wrapped.pt"} {
		got, err := contents(open(t, fixtures+name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s has other tensors than plain.safetensors", name)
		}
	}
}

// TestModels: the checkpoints of real networks have the tensors that their safetensors have.
func TestModels(t *testing.T) {
	models, err := filepath.Glob("../../../testdata/*.pt")
	if err != nil || len(models) == 0 {
		t.Fatal(models, err)
	}
	for _, path := range models {
		got, err := contents(open(t, path))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		want, err := contents(open(t, strings.TrimSuffix(path, ".pt")+".safetensors"))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s has other tensors than its safetensors: %v", path, err)
		}
	}
}

// TestShared: names for the same memory are known, and only they.
func TestShared(t *testing.T) {
	shared := 0
	for _, x := range open(t, fixtures+"tied.pt").Tensors {
		if x.Shared {
			shared++
		}
	}
	if shared == 0 {
		t.Error("tied.pt has no shared memory")
	}
	for _, x := range open(t, fixtures+"plain.pt").Tensors {
		if x.Shared {
			t.Errorf("%s of plain.pt is shared", x.Name)
		}
	}
}

// TestTruncated: a file that is cut anywhere is an error.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"plain.safetensors", "plain.pt", "legacy.pt", "strided.pt", "protocol4.pt"} {
		whole, err := os.ReadFile(fixtures + name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		for n := range whole {
			if err := os.WriteFile(path, whole[:n], 0o666); err != nil {
				t.Fatal(err)
			}
			if d, err := Open(path); err == nil {
				d.Close()
				t.Fatalf("%s: %d of %d bytes are as good as all", name, n, len(whole))
			}
		}
	}
}

// safetensors is a file of a header and data.
func safetensors(header, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

// TestHeader: what a header must not say, each with a word of the error.
func TestHeader(t *testing.T) {
	const good = `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}`
	if d := open(t, write(t, "x", safetensors(good, "123456789"))); len(d.Order) != 2 {
		t.Error(d.Order)
	}
	for _, c := range []struct{ from, to, says string }{
		{`[8,9]`, `[7,8]`, "begins at byte"},
		{`[8,9]`, `[9,10]`, "begins at byte"},
		{`"b"`, `"a"`, "two members"},
		{`[0,8]`, `[8,0]`, "no description"},
		{`[0,8]`, `[0,-8]`, "no description"},
		{`[0,8]`, `[0,7]`, "F32 [2] in 7 bytes"},
		{`[2]`, `[-2]`, "no description"},
		{`[2]`, `[4294967296,4294967296]`, "no description"},
		{`[2]`, `null`, "no description"},
		{`[2]`, `2`, "cannot unmarshal"},
		{`"F32"`, `null`, "no text"},
		{`"shape":[2],`, ``, "no description"},
		{`"dtype":"F32"`, `"dtype":"F32","more":1`, "no field"},
		{`{"a"`, `{"__metadata__":{"x":1},"a"`, "no text"},
		{`{"a"`, `["a"`, "not valid JSON"},
		{good, `[]`, "no checkpoint"},
		{`"b"`, "\"\xff\"", "not valid JSON"},
	} {
		_, err := Open(write(t, "x.safetensors", safetensors(strings.Replace(good, c.from, c.to, 1), "123456789")))
		if err == nil || !strings.Contains(err.Error(), c.says) && c.says != "no checkpoint" {
			t.Errorf("%s for %s: %v, want %q", c.to, c.from, err, c.says)
		}
	}
	if _, err := Open(write(t, "x.safetensors", safetensors(good, "1234567890"))); err == nil {
		t.Error("a byte that belongs to no tensor")
	}
	huge := safetensors(good, "123456789")
	binary.LittleEndian.PutUint64(huge, 1<<40)
	if _, err := Open(write(t, "x.safetensors", huge)); err == nil {
		t.Error("a header of a terabyte")
	}
}

// TestIndex: the tensors of all shards, and what an index must not say.
func TestIndex(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put("m-1.safetensors", safetensors(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "1"))
	put("m-2.safetensors", safetensors(`{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "2"))
	path := filepath.Join(dir, "m"+IndexSuffix)
	const good = `{"metadata":{"total_size":2,"x":[1, 2]},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}`
	put("m"+IndexSuffix, []byte(good))
	d := open(t, path)
	if len(d.Tensors) != 2 || d.Members["metadata.x"] != "[1,2]" || d.Tensors["b"].Part.Name != "m-2.safetensors" {
		t.Errorf("%+v", d)
	}
	if s := Shards(path); len(s) != 2 {
		t.Error(s)
	}
	for _, c := range []struct{ from, to, says string }{
		{`"a":"m-1.safetensors"`, `"a":"m-2.safetensors"`, `"a" is not in shard`},
		{`"a":"m-1.safetensors","b"`, `"c":"m-1.safetensors","b"`, "the index has it in"},
		{`"a":"m-1.safetensors"`, `"a":"m-1.safetensors","c":"m-1.safetensors"`, `"c" is not in`},
		{`"m-1.safetensors"`, `"../m-1.safetensors"`, "beside the index"},
		{`"m-1.safetensors"`, `3`, "no text"},
		{`weight_map`, `weights`, "no weight_map"},
		{`"b"`, `"a"`, "two members"},
	} {
		put("m"+IndexSuffix, []byte(strings.Replace(good, c.from, c.to, 1)))
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s for %s: %v, want %q", c.to, c.from, err, c.says)
		}
	}
}

// TestPickle: programs that a state dict does not need, or that no machine could run.
func TestPickle(t *testing.T) {
	for _, c := range []struct{ program, says string }{
		{"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "os.system"},
		{"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"},
		{"\x80\x02cbuiltins\neval\n.", "builtins.eval"},
		{"\x80\x06.", "protocol"},
		{"\x80\x02X\xff\xff\xff\xffx.", "is cut"},
		{"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "is cut"},
		{"\x80\x02.", "more values"},
		{"\x80\x02(K\x010t.", ""},
		{"\x80\x02K\x01(0.", "more values"},
		{"\x80\x02t.", "no mark"},
		{"\x80\x02h\x05.", "nothing at 5"},
		{"\x80\x02K\x01K\x02a.", "appends to"},
		{"\x80\x02]K\x02K\x03s.", "no dictionary"},
		{"\x80\x02(K\x01d.", "without a value"},
		{"\x80\x02K\x01K\x01R.", "calls a int64"},
		{"\x80\x02ctorch\nSize\n)R.", "torch.Size with 0"},
		{"\x80\x02K\x01Q.", "no storage"},
		{"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x01))tR.", "describe no tensor"},
		{"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "0 arguments"},
		{"\x80\x02\x92.", "is not read"},
	} {
		v, err := newMachine(strings.NewReader(c.program), int64(len(c.program))).load()
		if c.says == "" {
			if err != nil {
				t.Errorf("%q: %v", c.program, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q gives %v, %v; want %q", c.program, v, err, c.says)
		}
	}
}

// TestLong: numbers of every width.
func TestLong(t *testing.T) {
	for text, want := range map[string]any{"": int64(0), "\x01": int64(1), "\xff": int64(-1), "\x00\x80": int64(-32768), "\xff\x00": int64(255),
		"\xff\xff\xff\xff\xff\xff\xff\x7f": int64(1<<63 - 1), "123456789": huge("123456789")} {
		if got := long([]byte(text)); got != want {
			t.Errorf("%x is %v, want %v", text, got, want)
		}
	}
}

// TestOpcodesAlone: no opcode, with anything or nothing behind it, is the end of the program.
func TestOpcodesAlone(t *testing.T) {
	for op := range 256 {
		for _, behind := range []string{"", ".", "\x01\x02\x03\x04\x05\x06\x07\x08.", "\n\n.", strings.Repeat("\xff", 20)} {
			for _, before := range []string{"", "]", "}", "K\x01", "(", "((", "}K\x01", "ctorch\nSize\n)"} {
				text := before + string([]byte{byte(op)}) + behind
				newMachine(strings.NewReader(text), int64(len(text))).load()
			}
		}
	}
}

// FuzzOpen wants a checkpoint or an error from any file, and that each tensor has the bytes it promises.
func FuzzOpen(f *testing.F) {
	for _, pattern := range []string{fixtures + "*.pt", fixtures + "*.safetensors"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if b, err := os.ReadFile(path); err == nil && len(b) < 8<<10 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Open(write(t, "x", b))
		if err != nil {
			return
		}
		defer d.Close()
		if _, err := contents(d); err != nil {
			t.Error(err)
		}
	})
}

// FuzzPickle wants a value or an error from any program.
func FuzzPickle(f *testing.F) {
	legacy, err := os.ReadFile(fixtures + "legacy.pt")
	if err != nil {
		f.Fatal(err)
	}
	for at := range bytes.SplitSeq(legacy, []byte{0x80, 2}) {
		f.Add(append([]byte{0x80, 2}, at...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMachine(bytes.NewReader(b), int64(len(b)))
		if v, err := m.load(); err == nil {
			findStateDict(v)
		}
	})
}

// TestNestedTwice: a value that holds another twice, and so on, is never walked.
func TestNestedTwice(t *testing.T) {
	nested := "K\x01"
	for i := range 60 {
		nested += string([]byte{'q', byte(i), 'h', byte(i), 0x86}) // BINPUT, BINGET, TUPLE2
	}
	for _, program := range []string{"\x80\x02}" + nested + "Ns.", "\x80\x04" + nested + "K\x01\x93.", "\x80\x02" + nested + "Q.", "\x80\x02" + nested + nested + "R."} {
		v, err := newMachine(strings.NewReader(program), int64(len(program))).load()
		if err == nil {
			_, err = tensorsOf(v)
		}
		if err == nil || len(err.Error()) > 500 {
			t.Errorf("%.20q: %v", program, err)
		}
	}
}
