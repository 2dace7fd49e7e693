// Command page puts what the benchmarks measured into docs/performance.md, between the two lines that mark the
// place; the words around them are written by hand. It reads what `go test -bench` prints:
//
//	go test ./bench -run - -bench . -benchtime 11x | go run ./bench/page docs/performance.md
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// The place in the page.
const (
	begin = "<!-- measured: begin; make bench writes this part -->\n"
	end   = "<!-- measured: end -->\n"
)

func main() {
	if err := run(os.Stdin, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, args []string) error {
	if len(args) != 1 {
		return errors.New("which page? page docs/performance.md < what go test -bench printed")
	}
	m, err := parse(in)
	if err != nil {
		return err
	}
	if len(m.rows) == 0 {
		return errors.New("nothing was measured")
	}
	page, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: %s\n\n", time.Now().UTC().Format(time.DateOnly), machine(m.cpu))
	m.write(&b)
	page, err = replace(page, b.String())
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return os.WriteFile(args[0], page, 0o666)
}

// replace puts the measured part into the page.
func replace(page []byte, measured string) ([]byte, error) {
	head, rest, found := bytes.Cut(page, []byte(begin))
	if !found {
		return nil, fmt.Errorf("no line %q", strings.TrimSpace(begin))
	}
	_, tail, found := bytes.Cut(rest, []byte(end))
	if !found {
		return nil, fmt.Errorf("no line %q", strings.TrimSpace(end))
	}
	return fmt.Appendf(nil, "%s%s%s%s%s", head, begin, measured, end, tail), nil
}

// machine describes this one.
func machine(cpu string) string {
	words := []string{fmt.Sprintf("%d cores of %s", runtime.NumCPU(), cpu)}
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		words = append(words, strings.TrimSpace(string(out)))
	}
	if out, err := exec.Command("df", "--output=fstype", os.TempDir()).Output(); err == nil {
		words = append(words, strings.Fields(string(out))[1])
	}
	return strings.Join(append(words, runtime.Version()), ", ") + "."
}
