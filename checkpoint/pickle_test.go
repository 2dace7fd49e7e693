package checkpoint

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// archive is a zip file of stored entries.
func archive(t testing.TB, entries ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		f, err := w.CreateHeader(&zip.FileHeader{Name: entries[i], Method: zip.Store})
		if err == nil {
			_, err = f.Write([]byte(entries[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Pieces of a pickle.
const (
	proto   = "\x80\x02"
	mkDict  = proto + "}"
	aTensor = "ctorch._utils\n_rebuild_tensor_v2\n("
	noHooks = "\x89ccollections\nOrderedDict\n)Rt"
)

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// storageRef refers to a storage "0" of n elements.
func storageRef(class string, n string) string {
	return "(" + text("storage") + "ctorch\n" + class + "\n" + text("0") + text("cpu") + n + "tQ"
}

// long8 is the LONG1 of a number of 8 bytes.
func long8(n int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

// stateOf is a pickle of one tensor "w" with the given storage, offset, shape and strides.
func stateOf(storage, offset, shape, stride string) string {
	return mkDict + text("w") + aTensor + storage + offset + shape + stride + noHooks + "Rs."
}

// expanded is a pickle of tensors whose 2^20 float32 elements are one of a storage.
func expanded(tensors int) string {
	all := mkDict
	for i := range tensors {
		all += text(fmt.Sprint("t", i)) + aTensor + storageRef("FloatStorage", "K\x02") + "K\x01" + long8(1<<20) + "\x85" + "K\x00\x85" + noHooks + "Rs"
	}
	return all + "."
}

// TestExpanded: a tensor that was expanded has an element many times.
func TestExpanded(t *testing.T) {
	c, err := open(write(t, "expanded.pt", archive(t, "m/data.pkl", expanded(1), "m/data/0", "12345678")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	values, err := c.byName["t0"].values()
	want := elem.Decode(fuse.Float32, []byte("5678"))[0]
	if err != nil || len(values) != 1<<20 || slices.ContainsFunc(values, func(x float64) bool { return x != want }) {
		t.Errorf("%d values, want %v each; %v", len(values), want, err)
	}
}

// TestMalformedPickles: one pickle an error. None takes memory that the file does not have.
func TestMalformedPickles(t *testing.T) {
	two := "K\x02\x85" // (2,)
	ok := stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", two, "K\x01\x85")
	good := archive(t, "m/data.pkl", ok, "m/data/0", "12345678")
	if _, err := open(write(t, "good.pt", good)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	for _, c := range []struct{ name, pickle, want string }{
		{"empty", "", "cut"},
		{"no stop", proto + "N", "cut"},
		{"stop at once", proto + ".", "more than it has put"},
		{"protocol of the future", "\x80\x06N.", "protocol 6"},
		{"os.system", proto + "cos\nsystem\n" + text("rm -rf /") + "\x85R.", `"os.system"`},
		{"os.system of protocol 4", "\x80\x04\x8c\x02os\x8c\x06system\x93.", `"os.system"`},
		{"builtins.eval", proto + "cbuiltins\neval\n.", `"builtins.eval"`},
		{"a submodule under a known name", proto + "ctorch\n_utils._rebuild_tensor_v2\n.", "could run code"},
		{"a quantized tensor", proto + "ctorch._utils\n_rebuild_qtensor\n.", "not a state dict of plain tensors: one is quantized"},
		{"a class of a model", proto + "cmodels.resnet\nResNet\n)\x81.", `"models.resnet.ResNet"`},
		{"INST", "(ios\nsystem\n.", "opcode"},
		{"OBJ", "(o.", "opcode"},
		{"EXT1", "\x82\x01.", "opcode"},
		{"PERSID", "Pstorage\n.", "opcode"},
		{"NEXT_BUFFER", "\x97.", "opcode"},
		{"a call of what is no name", proto + "NNR.", "calls"},
		{"a call of a class of storage", proto + "ctorch\nFloatStorage\n)R.", "no function"},
		{"a frame beyond the file", "\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", "cut"},
		{"bytes beyond the file", "\x80\x04\x8e\x00\x00\x00\x00\x40\x00\x00\x00.", "cut"},
		{"text beyond the file", proto + "X\xff\xff\xff\x7f.", "cut"},
		{"an endless line", proto + "c" + strings.Repeat("a", 1<<16), "no end"},
		{"a long integer beyond the file", proto + "\x8b\xff\xff\xff\x7f.", "cut"},
		{"a memo that is empty", proto + "h\x05.", "memo"},
		{"a memo's number as text", proto + "Np-1\n.", "memo"},
		{"no mark", proto + "t.", "more than it has put"},
		{"pop through a mark", proto + "N(0.", "more than it has put"},
		{"append to a number", proto + "K\x01K\x02a.", "no list"},
		{"an item of a number", proto + "K\x01K\x02K\x03s.", "no dictionary"},
		{"a key without value", proto + "}(K\x01u.", "without a value"},
		{"a reference to no storage", proto + "K\x01Q.", "no storage"},
		{"no state dict", proto + "K\x01.", "no dictionary of tensors"},
		{"no tensors", mkDict + text("a") + "K\x01s.", "no dictionary of tensors"},
		{"dictionaries in dictionaries", mkDict + text("model") + strings.Repeat("}"+text("model"), 6) + "}" + text("x") + "Ns" + strings.Repeat("s", 7) + ".", "nested too deeply"},
		{"storage of 2^45 elements", stateOf(storageRef("FloatStorage", long8(1<<45)), "K\x00", two, "K\x01\x85"), "the pickle says"},
		{"storage of -3 elements", stateOf(storageRef("FloatStorage", long8(-3)), "K\x00", two, "K\x01\x85"), "-3 elements"},
		{"storage that is not there", strings.Replace(ok, text("0"), text("7"), 1), `no storage "7"`},
		{"storage outside the archive's folder", strings.Replace(ok, text("0"), text("../0"), 1), "no storage"},
		{"shape beyond the storage", stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", "K\x03\x85", "K\x01\x85"), "leaves its storage"},
		{"offset beyond the storage", stateOf(storageRef("FloatStorage", "K\x02"), "K\x01", two, "K\x01\x85"), "leaves its storage"},
		{"stride that overflows", stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", two, long8(1<<60)+"\x85"), "leaves its storage"},
		{"shape that overflows", stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", long8(1<<40)+long8(1<<40)+"\x86", "K\x01K\x01\x86"), "too many elements"},
		{"stride 0 that repeats", stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", long8(1<<40)+"\x85", "K\x00\x85"), "repeats"},
		{"strides 0 that repeat little each", expanded(5), "repeats"},
		{"stride negative", stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", two, long8(-1)+"\x85"), "malformed"},
		{"strides of another rank", stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", two, ")"), "malformed"},
		{"one storage of two types", mkDict + text("a") + aTensor + storageRef("FloatStorage", "K\x02") + "K\x00" + two + "K\x01\x85" + noHooks + "Rs" +
			text("b") + aTensor + storageRef("LongStorage", "K\x02") + "K\x00" + two + "K\x01\x85" + noHooks + "Rs.", "two ways"},
		{"a part beyond its storage", stateOf(strings.Replace(storageRef("FloatStorage", "K\x02"), "tQ", text("part")+"K\x01K\x02\x87tQ", 1), "K\x00", two, "K\x01\x85"), "part of storage"},
		{"a part of a huge number", stateOf(strings.Replace(storageRef("FloatStorage", "K\x02"), "tQ", text("part")+long8(1<<62)+long8(1<<62)+"\x87tQ", 1), "K\x00", two, "K\x01\x85"), "part of storage"},
		{"complex128", stateOf(storageRef("ComplexDoubleStorage", "K\x00"), "K\x00", "K\x00\x85", "K\x01\x85"), "does not have"},
	} {
		file := write(t, "bad.pt", archive(t, "m/data.pkl", c.pickle, "m/data/0", "12345678"))
		runtime.ReadMemStats(&before)
		_, err := open(file)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s: %d bytes were allocated", c.name, n)
		}
	}
}

// TestPickleOfManyOpcodes: each would take many times its byte of memory.
func TestPickleOfManyOpcodes(t *testing.T) {
	file := write(t, "many.pt", archive(t, "m/data.pkl", proto+")"+strings.Repeat("\x85", maxPickleOpcodes)+"."))
	if _, err := open(file); err == nil || !strings.Contains(err.Error(), "opcodes") {
		t.Errorf("got %v", err)
	}
}

// TestMalformedArchives: one zip file an error.
func TestMalformedArchives(t *testing.T) {
	pickle := stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", "K\x02\x85", "K\x01\x85")
	var deflated bytes.Buffer
	w := zip.NewWriter(&deflated)
	f, _ := w.Create("m/data.pkl")
	fmt.Fprint(f, pickle)
	w.Close()
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"no pickle", archive(t, "m/data/0", "12345678"), "without data.pkl"},
		{"two pickles", archive(t, "m/data.pkl", pickle, "n/data.pkl", pickle), "two pickles"},
		{"an entry twice", archive(t, "m/data.pkl", pickle, "m/data.pkl", pickle), "two entries"},
		{"TorchScript", archive(t, "m/data.pkl", pickle, "m/constants.pkl", "x"), "TorchScript"},
		{"compressed", deflated.Bytes(), "compressed"},
		{"no storage", archive(t, "m/data.pkl", pickle), `no storage "0"`},
		{"storage too short", archive(t, "m/data.pkl", pickle, "m/data/0", "1234567"), "has 7 bytes"},
		{"byte order", archive(t, "m/data.pkl", pickle, "m/data/0", "12345678", "m/byteorder", "middle"), `"middle"`},
		{"byte order too long", archive(t, "m/data.pkl", pickle, "m/data/0", "12345678", "m/byteorder", strings.Repeat("big", 9)), "has 27 bytes"},
	} {
		if _, err := open(write(t, "bad.pt", c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
	}
}

// TestBigEndian: the elements of a big-endian machine's checkpoint come out little-endian.
func TestBigEndian(t *testing.T) {
	pickle := stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", "K\x02\x85", "K\x01\x85")
	in := write(t, "big.pt", archive(t, "m/data.pkl", pickle, "m/data/0", "\x3f\x80\x00\x00\xc0\x00\x00\x00", "m/byteorder", "big"))
	if got := tensorsOf(t, fuseTo(t, in, Options{}))["w"].values(t); got[0] != 1 || got[1] != -2 {
		t.Errorf("%v", got)
	}
}

// TestMalformedLegacy: one file an error.
func TestMalformedLegacy(t *testing.T) {
	whole := readAll(t, "testdata/legacy.pt")
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"another pickle", []byte("\x80\x02K\x01."), "not one of torch.save"},
		{"a pickle of another large number", []byte("\x80\x02\x8a\x0a\x6d\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), "not one of torch.save"},
		{"another protocol", bytes.Replace(whole, []byte("M\xe9\x03."), []byte("M\xea\x03."), 1), "protocol 1002"},
		{"no byte order", bytes.Replace(whole, []byte("little_endian"), []byte("middle_endian"), 1), "little-endian"},
		{"a count that is too large", append(bytes.Clone(whole[:len(whole)-8]), 1, 2, 3), ""},
	} {
		path := write(t, "bad.pt", c.file)
		if _, err := open(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
		os.Remove(path)
	}
}

// TestNotStateDict: what PyTorch saved and is no state dict is told from what is damaged.
func TestNotStateDict(t *testing.T) {
	read := func(name string) []byte { return readAll(t, filepath.Join("testdata", name)) }
	legacy := read("legacy.pt")
	noTensors := mkDict + text("lr") + "K\x01s."
	optimizer := mkDict + text("state") + "}K\x00}" + text("step") + "K\x01sss." // {"state": {0: {"step": 1}}}
	good := archive(t, "m/data.pkl", noTensors)
	for _, c := range []struct {
		name string
		file []byte
		want bool
	}{
		{"a whole module", read("module.pt"), true},
		{"a training script's arguments", archive(t, "m/data.pkl", proto+"ctransformers.training_args\nTrainingArguments\n)\x81}b."), true},
		{"a scheduler", good, true},
		{"an optimizer", archive(t, "m/data.pkl", optimizer), true},
		{"a number", archive(t, "m/data.pkl", proto+"K\x01."), true},
		{"nothing", archive(t, "m/data.pkl", proto+"}."), true},
		{"TorchScript", archive(t, "m/data.pkl", "N.", "m/constants.pkl", "x"), true},
		{"another pickle", []byte("\x80\x02K\x01."), true},
		{"legacy, of a module", bytes.Replace(legacy, []byte("ccollections\nOrderedDict"), []byte("ccollections\nOrderedDicT"), 1), true},
		{"cut", read("plain.pt")[:1000], false},
		{"legacy, cut", legacy[:len(legacy)-1], false},
		{"a flipped bit", bytes.Replace(good, []byte("lr"), []byte("lR"), 1), false},
		{"no storage", archive(t, "m/data.pkl", stateOf(storageRef("FloatStorage", "K\x02"), "K\x00", "K\x02\x85", "K\x01\x85")), false},
		{"a pickle that is cut", archive(t, "m/data.pkl", mkDict), false},
		{"no archive of PyTorch", archive(t, "arr_0.npy", "x"), false},
	} {
		_, err := Inspect(context.Background(), write(t, "x.pt", c.file), Options{Engine: host.New()})
		if err == nil || errors.Is(err, ErrNotStateDict) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestChecksums: a flipped bit of the pickle is found, unless the archive has no checksum for it.
func TestChecksums(t *testing.T) {
	whole := readAll(t, "testdata/plain.pt")
	flipped := bytes.Replace(whole, []byte("conv.weight"), []byte("conv.weighT"), 1)
	if _, err := open(write(t, "x.pt", flipped)); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("%v", err)
	}
	sum := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(pickleOf(t, "testdata/plain.pt")))
	if !bytes.Contains(flipped, sum) {
		t.Fatal("the checksum is not where it is looked for")
	}
	c, err := open(write(t, "x.pt", bytes.ReplaceAll(flipped, sum, make([]byte, 4))))
	if err != nil {
		t.Fatal(err)
	}
	c.close()
}

// TestModule: a whole module is refused by the name of its class, with what to do.
func TestModule(t *testing.T) {
	_, err := open("testdata/module.pt")
	if err == nil || !strings.Contains(err.Error(), "torch.nn.modules.linear.Linear") || !strings.Contains(err.Error(), "state_dict()") {
		t.Errorf("%v", err)
	}
}

// pickleOf is the data.pkl of a real archive.
func pickleOf(t testing.TB, path string) []byte {
	t.Helper()
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "data.pkl") {
			continue
		}
		p, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Fatalf("%s has no pickle", path)
	return nil
}

// TestNestedTwice: a value that holds another twice, which holds another twice, and so on, is named in no message
// in full: printed, it would fill the memory.
func TestNestedTwice(t *testing.T) {
	nested := "K\x01"
	for i := range 60 {
		nested += string([]byte{'q', byte(i), 'h', byte(i), 0x86}) // BINPUT, BINGET, TUPLE2
	}
	for name, b := range map[string][]byte{
		"key":          archive(t, "a/data.pkl", mkDict+nested+"Ns."),
		"name":         archive(t, "a/data.pkl", "\x80\x04"+nested+"K\x01\x93."),
		"dropped":      archive(t, "a/data.pkl", mkDict+nested+"Ns"+text("state_dict")+"}"+text("x")+"Nss."),
		"protocol":     []byte(proto + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + proto + nested + "."),
		"storage keys": []byte(proto + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + proto + "M\xe9\x03." + mkDict + text("little_endian") + "\x88s." + mkDict + "." + proto + "]" + nested + "a."),
	} {
		c, err := open(write(t, "x.pt", b))
		if err == nil {
			t.Errorf("%s: %+v", name, c)
		} else if len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// A tensor that PyTorch would still negate or conjugate is not read as if it were done.
func TestNegativeBit(t *testing.T) {
	for _, bit := range []string{"neg", "conj"} {
		state := func(value string) []byte {
			metadata := "\x89ccollections\nOrderedDict\n)R" + "}" + text(bit) + value + "s" + "t"
			return archive(t, "m/data.pkl", mkDict+text("w")+aTensor+storageRef("FloatStorage", "K\x02")+"K\x00"+"K\x02\x85"+"K\x01\x85"+metadata+"Rs.", "m/data/0", "12345678")
		}
		if _, err := open(write(t, "in.pt", state("\x88"))); err == nil || !strings.Contains(err.Error(), "negated") {
			t.Errorf("%s: %v", bit, err)
		}
		if _, err := open(write(t, "in.pt", state("\x89"))); err != nil {
			t.Errorf("%s that is not set: %v", bit, err)
		}
	}
}

// The legacy format's elements are little-endian on every machine; the counts before them are so in newer versions.
func TestLegacyBigEndian(t *testing.T) {
	whole := readAll(t, "testdata/legacy.pt")
	want, err := open("testdata/legacy.pt")
	if err != nil {
		t.Fatal(err)
	}
	defer want.close()
	says := bytes.Index(whole, []byte("little_endian"))
	whole[says+bytes.IndexByte(whole[says:], 0x88)] = 0x89 // False
	for _, counts := range []string{"little", "big"} {
		if counts == "big" {
			for _, st := range legacyStorages(t, whole) {
				slices.Reverse(whole[st-8 : st])
			}
		}
		got, err := open(write(t, "in.pt", whole))
		if err != nil {
			t.Errorf("%s-endian counts: %v", counts, err)
			continue
		}
		for _, x := range want.tensors() {
			if same, err := sameBytes(x, got.byName[x.name]); !same || err != nil {
				t.Errorf("%s-endian counts: %s differs, %v", counts, x.name, err)
			}
		}
		got.close()
	}
}

// legacyStorages are where the storages of a legacy file begin, each with a tensor that begins there.
func legacyStorages(t *testing.T, whole []byte) []int64 {
	t.Helper()
	f, err := os.Open(write(t, "legacy.pt", whole))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := readLegacy(f, int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	var list []int64
	seen := map[int64]bool{}
	for _, x := range p.tensors {
		at := x.off
		if s, ok := x.src.(*strided); ok {
			at = s.off
		}
		if !seen[at] {
			seen[at] = true
			list = append(list, at)
		}
	}
	return list
}
