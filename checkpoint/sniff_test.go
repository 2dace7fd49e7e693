package checkpoint

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// TestSniff: of the files that lie in a folder, the checkpoints and no others.
func TestSniff(t *testing.T) {
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("data/%d", i), "")
	}
	torchPickle := "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
	frame := "\x95\x0d\x00\x00\x00\x00\x00\x00\x00"
	st := string(encode(nil, made{name: "w", dtype: "F32", shape: []int{1}, data: []byte("1234")}))
	packed := string(archive(t, "m/data.pkl", "N.", "m/version", "3"))
	for _, c := range []struct{ why, name, file, want string }{
		{"safetensors", "x", st, Safetensors},
		{"cut, and still meant to be one", "x", st[:20], Safetensors},
		{"an index, by its name", "m" + IndexSuffix, "{}", Safetensors},
		{"an index of PyTorch, by its name", "m" + BinIndexSuffix, "{}", PyTorch},
		{"an index of PyTorch's shards", "m" + BinIndexSuffix, "{}", PyTorch},
		{"torch.save", "x.pt", packed, PyTorch},
		{"its directory is cut off", "x.pt", packed[:len(packed)-60], PyTorch},
		{"saved by C++: no folder", "x", string(archive(t, "data.pkl", "N.")), PyTorch},
		{"packed again", "x", string(archive(t, append(many, "m/data.pkl", "N.")...)), PyTorch},
		{"legacy", "x", "\x80\x02" + torchPickle, PyTorch},
		{"legacy, of protocol 4", "x", "\x80\x04" + frame + torchPickle, PyTorch},
		{"NumPy", "x.npz", string(archive(t, "arr_0.npy", "x")), ""},
		{"Word", "x.docx", string(archive(t, "[Content_Types].xml", "<>", "word/document.xml", "<>")), ""},
		{"a data.pkl that is somebody's", "x.zip", string(archive(t, "a/b/data.pkl", "N.", "a/mydata.pkl/x", "")), ""},
		{"a folder's name ends alike", "x.zip", string(archive(t, "mydata.pkl", "N.")), ""},
		{"zip, cut", "x.npz", string(archive(t, "arr_0.npy", "x"))[:40], ""},
		{"zip, of four bytes", "x.npz", "PK\x03\x04", ""},
		{"another pickle", "x.pkl", "\x80\x02}.", ""},
		{"another pickle of protocol 4", "x.pkl", "\x80\x04\x95\x0d", ""},
		{"text", "README.md", "# A model", ""},
		{"JSON", "config.json", "{}", ""},
		{"empty", "x.pt", "", ""},
	} {
		if got := Sniff(bytes.NewReader([]byte(c.file)), int64(len(c.file)), c.name); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
	for pattern, want := range map[string]string{
		"testdata/*.pt": PyTorch, "../testdata/*.pt": PyTorch,
		"../testdata/*.safetensors": Safetensors, "../testdata/*.onnx": "",
	} {
		for _, path := range glob(t, pattern) {
			b := readAll(t, path)
			if got := Sniff(bytes.NewReader(b), int64(len(b)), filepath.Base(path)); got != want {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
	}
	return paths
}

// TestSniffIsShort: neither a file that cannot be read nor an archive of a great many entries takes long.
func TestSniffIsShort(t *testing.T) {
	if got := Sniff(bytes.NewReader(nil), 100, "x.pt"); got != "" { // shorter than was said
		t.Errorf("%q", got)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range 100_000 {
		w.Create(fmt.Sprintf("a/very/long/name/of/a/class/%d.class", i))
	}
	w.Close()
	file := &counting{r: bytes.NewReader(b.Bytes())}
	if got := Sniff(file, int64(b.Len()), "x.jar"); got != "" || file.n > maxSniffedDirectory+1<<17 {
		t.Errorf("%q after %d bytes of %d", got, file.n, b.Len())
	}
}

type counting struct {
	r io.ReaderAt
	n int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n += n
	return n, err
}

// Safetensors have UTF-8 names only; pickles may hold others.
func TestNameNotUTF8(t *testing.T) {
	_, err := newContainer("x.pt", &part{tensors: []*tensor{{name: "bn.\xff"}}})
	if err == nil || !strings.Contains(err.Error(), `"bn.\xff"`) {
		t.Errorf("got %v", err)
	}
}
