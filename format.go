package bnfuse

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/internal/foreign"
	"github.com/bnfuse/bnfuse/internal/regular"
	"github.com/bnfuse/bnfuse/onnx"
)

// format is what a model's file is, in the report's words.
type format string

const formatONNX format = "onnx" // the others are package checkpoint's

// outputName is where the fused model goes by default.
func (f format) outputName(in string) string {
	for _, suffix := range []string{checkpoint.IndexSuffix, checkpoint.BinIndexSuffix} {
		if stem, ok := strings.CutSuffix(in, suffix); ok {
			return stem + ".fused" + checkpoint.IndexSuffix
		}
	}
	ext := filepath.Ext(in)
	stem := strings.TrimSuffix(in, ext)
	if f != formatONNX {
		ext = ".safetensors"
	}
	return stem + ".fused" + ext
}

// formatOf tells a model's format by its first bytes and refuses a file that is known to be none, with what
// it is. An ONNX model itself has no mark: whatever else is wrong with a file is for package onnx to say.
func formatOf(path string) (format, error) {
	f, size, err := regular.Open(path)
	if errors.Is(err, regular.ErrNotRegular) {
		err = fmt.Errorf("%w but %s", err, kindOf(path))
	}
	if err != nil {
		return "", fmt.Errorf("bnfuse: %s: %w", path, err)
	}
	defer f.Close()
	head := make([]byte, foreign.HeadBytes)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) {
		return "", fmt.Errorf("bnfuse: %s: the file is empty", path)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return formatONNX, nil // package onnx will meet it too
	}
	if known := checkpoint.Format(path, head[:n]); known != "" {
		return format(known), nil
	}
	if what := foreign.Name(head[:n]); what != "" {
		return "", fmt.Errorf("bnfuse: %s: not a model or checkpoint that bnfuse reads but %s", path, what)
	}
	// A graph may have any name. What is no graph either is the damaged checkpoint that its name promises.
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case ext != ".safetensors" && ext != ".pt" && ext != ".pth", onnx.Sniff(f, size):
		return formatONNX, nil
	case ext == ".safetensors":
		return format(checkpoint.Safetensors), nil // package checkpoint says what is wrong
	default:
		return "", fmt.Errorf("bnfuse: %s: its content is not that of a %s file", path, ext)
	}
}

// kindOf says what a path is that is no regular file.
func kindOf(path string) string {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return "a folder"
	case err == nil && info.Mode()&fs.ModeNamedPipe != 0:
		return "a named pipe"
	default:
		return "a device or a socket"
	}
}
