package zoo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/internal/foreign"
	"github.com/bnfuse/bnfuse/onnx"
)

// look tells what a file is. Of most files a single small read says that they are no model.
func (w *walker) look(f *found) {
	if f.link != "" {
		return
	}
	if f.size == 0 {
		if f.isModel() {
			f.err = errors.New("the file is empty")
		}
		return
	}
	file, err := os.Open(f.source)
	if err != nil {
		f.err = bare(err)
		return
	}
	defer file.Close()
	r, err := newHeadReader(file, f.size)
	if err != nil {
		f.err = bare(err)
		return
	}
	name := path.Base(f.path)
	if f.content = sniff(r, f.size, name); f.content == "" {
		if f.err = refuse(r.head, name, f.format); f.format == formatONNX {
			f.locations = locations(r, f.size) // it may have fields that Sniff does not know
		}
		return
	}
	f.format = f.content
	if f.format == formatONNX {
		f.locations = locations(r, f.size)
		return
	}
	f.shards, f.err = checkpoint.Shards(r, f.size, name)
}

// locations are the files that a model keeps tensors in. A damaged model has none; its error is for later.
func locations(r io.ReaderAt, size int64) []string {
	list, err := onnx.Locations(r, size)
	if err != nil {
		return nil
	}
	return list
}

// sniff is a file's format by its content.
func sniff(r io.ReaderAt, size int64, name string) string {
	if format := checkpoint.Sniff(r, size, name); format != "" {
		return format
	}
	if onnx.Sniff(r, size) {
		return formatONNX
	}
	return ""
}

// formatByName is what a model's extension promises.
func formatByName(p string) string {
	p = strings.ToLower(p)
	switch {
	case checkpoint.IsIndex(p):
		return checkpoint.Format(p, nil)
	case path.Ext(p) == ".onnx":
		return formatONNX
	case path.Ext(p) == ".safetensors":
		return checkpoint.Safetensors
	case path.Ext(p) == ".pt", path.Ext(p) == ".pth", strings.HasSuffix(p, checkpoint.BinIndexSuffix):
		return checkpoint.PyTorch
	}
	return ""
}

// refuse says why a file is not the model that its name promises. Where it is not known, the front end, which
// looks closer, will say it.
func refuse(head []byte, name, named string) error {
	switch ext := strings.ToLower(path.Ext(name)); {
	case named == "" && foreign.IsPointer(head) && (ext == ".bin" || ext == ".ckpt"):
	case named == "":
		return nil
	}
	if what := foreign.Name(head); what != "" {
		return fmt.Errorf("not a model or checkpoint that bnfuse reads but %s", what)
	}
	if named != formatONNX && checkpoint.Format(name, head) == "" {
		return fmt.Errorf("its content is not that of a %s file", named)
	}
	return nil
}

// headReader keeps a file's first bytes, which all who look at it want.
type headReader struct {
	io.ReaderAt
	head []byte
}

const headBytes = 1 << 10

func newHeadReader(r io.ReaderAt, size int64) (*headReader, error) {
	head := make([]byte, min(size, headBytes))
	n, err := r.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = nil // it has become shorter
	}
	return &headReader{r, head[:n]}, err
}

func (h *headReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= 0 && off+int64(len(p)) <= int64(len(h.head)) {
		return bytes.NewReader(h.head).ReadAt(p, off)
	}
	return h.ReaderAt.ReadAt(p, off)
}
