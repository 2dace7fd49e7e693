package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// fileView is a model on its way.
type fileView struct {
	name        string
	start       time.Time
	done, total atomic.Int64
}

// begin shows the progress of a model until end is called. What it returns may be called from several
// goroutines.
func (s *status) begin(name string) func(done, total int64) {
	v := &fileView{name: name, start: time.Now()}
	s.show(v)
	return func(d, t int64) {
		v.total.Store(t)
		for old := v.done.Load(); d > old && !v.done.CompareAndSwap(old, d); old = v.done.Load() {
		}
	}
}

func (v *fileView) lines(now time.Time, _, _ int) []string {
	if line := v.plain(now); line != "" {
		return []string{line}
	}
	return nil
}

func (v *fileView) plain(now time.Time) string {
	if v.total.Load() == 0 {
		return ""
	}
	return progressLine(v.name, v.done.Load(), v.total.Load(), now.Sub(v.start))
}

// progressLine is "vgg11_bn.onnx  ██████░░░░░░  48 %  255.1 MB of 531.5 MB  3.1 GB/s".
func progressLine(name string, done, total int64, passed time.Duration) string {
	rate := inBytes(int64(float64(done) / passed.Seconds()))
	return fmt.Sprintf("%s  %s  %d %%  %s of %s  %s/s", name, bar(done, total), 100*done/total, inBytes(done), inBytes(total), rate)
}

const barWidth = 24

// bar draws how much of total is done.
func bar(done, total int64) string {
	full := 0
	if total > 0 {
		full = int(barWidth * min(done, total) / total)
	}
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}

// inBytes writes a number of bytes as people do: 531.5 MB.
func inBytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n)/1000, 0
	for x >= 999.95 && unit < len(units)-1 {
		x /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", x, units[unit])
}
