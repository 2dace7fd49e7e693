package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bnfuse/bnfuse/zoo"
)

func TestProgressLine(t *testing.T) {
	got := progressLine("m.onnx", 255_100_000, 531_500_000, 100e6)
	if want := "m.onnx  ███████████░░░░░░░░░░░░░  47 %  255.1 MB of 531.5 MB  2.6 GB/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 5e18: "5.0 EB"} {
		if got := inBytes(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// TestZooView follows a run by a clock of its own.
func TestZooView(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	v := newZooView(start)
	var b strings.Builder
	show := func(seconds float64, columns, rows int) {
		now := start.Add(time.Duration(seconds * float64(time.Second)))
		fmt.Fprintf(&b, "-- %g s, %d × %d --\n%s\n%s\n", seconds, columns, rows, strings.Join(v.lines(now, columns, rows), "\n"), v.plain(now))
	}
	e := zoo.Event{Models: 2000, Bytes: 7_400_000_000}
	send := func(kind zoo.EventKind, path string, done, n int64) {
		e.Kind, e.Path, e.PathDone, e.PathBytes = kind, path, done, n
		v.event(e)
	}
	show(0.1, 80, 24)
	send(zoo.EventStart, "", 0, 0)
	show(0.2, 80, 24)
	for i := range 3 {
		send(zoo.EventBegin, fmt.Sprintf("vision/%d/model.onnx", i), 0, 102_500_000)
	}
	e.BytesDone = 20e6
	send(zoo.EventBytes, "vision/1/model.onnx", 20e6, 102_500_000)
	show(2, 80, 24)
	e.Done, e.BytesDone = 1, 150e6
	send(zoo.EventEnd, "vision/1/model.onnx", 0, 0)
	show(3, 80, 24)
	e.Done, e.Failed = 2, 1
	send(zoo.EventEnd, "vision/0/model.onnx", 0, 0)
	send(zoo.EventBegin, "a/very/long/path/to/a/model/whose/name/no/line/can/hold/模型.safetensors", 0, 0)
	send(zoo.EventBegin, "odd\n\x1b[2Jname", 0, 10)
	show(3.2, 60, 24)
	show(3.2, 60, 6)
	for i := range 20 {
		send(zoo.EventBegin, fmt.Sprint(i), 0, 10)
	}
	show(3.3, 80, 24)
	show(3.3, 0, 0)
	for i := range 20 {
		send(zoo.EventEnd, fmt.Sprint(i), 0, 0)
	}
	e.Done, e.BytesDone = 2000, 7_400_000_000
	send(zoo.EventEnd, "old.onnx", 0, 0) // as if an earlier run had done nearly everything
	show(20, 80, 24)

	const path = "testdata/zoo_view.golden"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readText(t, path), b.String()); diff != "" {
		t.Errorf("%s (-want +got), -update accepts it:\n%s", path, diff)
	}
}
