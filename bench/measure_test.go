package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/bnfuse/bnfuse"
)

// What the first argument makes of the test binary: a program that runs another one and prints how long it took and
// how much memory it had at its peak, or one that calls FuseFile for the paths of a model, its output and, for a
// checkpoint, its graph, and prints how long that took.
const (
	asMeasure = "measure-one-process"
	asLibrary = "fuse-one-file"
)

func TestMain(m *testing.M) {
	if len(os.Args) < 3 {
		os.Exit(m.Run())
	}
	var err error
	switch os.Args[1] {
	case asMeasure:
		err = measure(os.Args[2], os.Args[3:]...)
	case asLibrary:
		err = fuseFile(os.Args[2], os.Args[3], os.Args[4])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, os.Args[2:], err)
		os.Exit(1)
	}
}

func fuseFile(in, out, graph string) error {
	start := time.Now()
	if _, err := bnfuse.FuseFile(context.Background(), in, out, bnfuse.Options{Device: "cpu", Graph: graph}); err != nil {
		return err
	}
	fmt.Println(time.Since(start).Seconds())
	return nil
}

func measure(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	var peak int64
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = usage.Maxrss << 10
	}
	fmt.Println(seconds, peak)
	return nil
}

// run runs a program. A process counts its peak of memory from that of the process that made it, so a small
// one stands between it and this one, which makes models and is large.
func run(b *testing.B, name string, args ...string) (seconds float64, peak int64) {
	b.Helper()
	cmd := exec.Command(os.Args[0], append([]string{asMeasure, name}, args...)...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s %q: %v", name, args, err)
	}
	if _, err := fmt.Sscan(string(text), &seconds, &peak); err != nil {
		b.Fatal(err)
	}
	return seconds, peak
}

// timed runs a program that writes out, and takes away what it wrote.
func timed(b *testing.B, out string, name string, args ...string) (seconds float64, peak int64) {
	b.Helper()
	seconds, peak = run(b, name, args...)
	if err := os.Remove(out); err != nil {
		b.Fatal(err)
	}
	return seconds, peak
}
