package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Bounds on a report that is read, so that no file takes much more memory than its size. Two thousand models
// with 60 norms each take 45 MB, and the average object in a report has hundreds of bytes.
const (
	maxReportBytes = 1 << 29
	minObjectBytes = 16
)

// ReadFile reads the report at path, written as JSON, of a zoo or of one model. One model becomes a zoo of
// one, which has no folder for its Input and Output.
func ReadFile(path string) (*Zoo, error) {
	text, err := readBounded(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("report: %s: %w", path, err)
	}
	z, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("report: %s: %w", path, err)
	}
	return z, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: to open a named pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() > maxReportBytes:
		return nil, fmt.Errorf("%d bytes; no report is larger than %d", info.Size(), maxReportBytes)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, info.Size())
	n, err := io.ReadFull(f, text)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // it has shrunk, or is empty: parse says what is missing
	}
	return text[:n], err
}

func parse(text []byte) (*Zoo, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return nil, errors.New("the file is empty")
	case bytes.Count(text, []byte("{")) > 1+len(text)/minObjectBytes: // [{},{},… would be a hundred times its size in memory
		return nil, errors.New("not a report: it is all braces")
	case text[0] == '<':
		return nil, errors.New("a page, which is for reading; the report must be JSON (--report FILE.json)")
	}
	var has struct{ Models, Norms json.RawMessage }
	if err := json.Unmarshal(text, &has); err != nil {
		return nil, fmt.Errorf("not a report as JSON: %w", err)
	}
	z := &Zoo{}
	var err error
	switch {
	case has.Models != nil:
		err = json.Unmarshal(text, z)
	case has.Norms != nil:
		z, err = parseModel(text)
	default:
		return nil, errors.New(`not a report: it has neither "models", as one on a zoo, nor "norms", as one on a model`)
	}
	if err != nil {
		return nil, fmt.Errorf("not a report as JSON: %w", err)
	}
	for i, m := range z.Models {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("model %d: %w", i, err)
		}
	}
	z.Sum()
	return z, nil
}

func parseModel(text []byte) (*Zoo, error) {
	m := &Model{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, err
	}
	return ZooOf(m, ""), nil
}

// check refuses what bnfuse does not write, so that merged totals and pages can be trusted.
func (m *Model) check() error {
	if m == nil {
		return errors.New("it is null")
	}
	switch m.Status {
	case "", ModelFused, ModelCopied, ModelFailed:
	default:
		return fmt.Errorf("%q: status %q is none of %q, %q and %q", m.Input, m.Status, ModelFused, ModelCopied, ModelFailed)
	}
	if m.BytesIn < 0 || m.BytesOut < 0 || m.Seconds < 0 {
		return fmt.Errorf("%q: its bytes or seconds are negative", m.Input)
	}
	var folded, kept int
	for i := range m.Norms {
		n := &m.Norms[i]
		switch n.Status {
		case Folded:
			folded++
		case Kept:
			kept++
		default:
			return fmt.Errorf("%q: norm %q: status %q is neither %q nor %q", m.Input, n.Name, n.Status, Folded, Kept)
		}
		if n.Scales != nil && !n.Scales.valid() {
			return fmt.Errorf("%q: norm %q: its scales are no histogram", m.Input, n.Name)
		}
	}
	if folded != m.Folded || kept != m.Kept {
		return fmt.Errorf("%q: %d norms are folded and %d kept, but it says %d and %d", m.Input, folded, kept, m.Folded, m.Kept)
	}
	return nil
}
