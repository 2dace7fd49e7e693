package bench

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"testing"
)

// served is a program that does something for each line it reads, and answers how many seconds it took.
type served struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(b *testing.B, cmd *exec.Cmd) *served {
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return &served{cmd, in, bufio.NewReader(out)}
}

// run has the program do one thing.
func (s *served) run(b *testing.B, what string) (seconds float64) {
	if _, err := fmt.Fprintln(s.in, what); err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Fscan(s.out, &seconds); err != nil {
		b.Fatalf("%s: %v", s.cmd.Path, err)
	}
	return seconds
}

func (s *served) stop() {
	s.in.Close()
	s.cmd.Wait()
}
