package bench

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ratios are of two times, each measured one right after the other: what else the machine does hits both.
type ratios []float64

// report gives the median under a name, and the quartiles.
func (r ratios) report(b *testing.B, name string) {
	if len(r) == 0 {
		return
	}
	slices.Sort(r)
	b.ReportMetric(median(r), name)
	b.ReportMetric(r[len(r)/4], name+"-q1")
	b.ReportMetric(r[len(r)*3/4], name+"-q3")
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// reportLoad gives the machine's load of the last minute, in which the benchmark itself counts too.
func reportLoad(b *testing.B) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(text), " ")
	if load, err := strconv.ParseFloat(first, 64); err == nil {
		b.ReportMetric(load, "load")
	}
}

// peer is something that bnfuse is measured beside.
type peer struct {
	name string
	run  func() (seconds float64)
}

// slowPeer is one that takes many times as long. It tells how long its work took and how long all of its process.
type slowPeer struct {
	name string
	run  func() (work, process float64)
	mine func() (work float64) // the same work by bnfuse's library
}

// inTurn has bnfuse and its peers run b.N times in turn, every second round in the opposite order, and
// reports the ratio of bnfuse's time to each peer's as x-NAME. mine returns its time and its peak of memory.
// Then it does so with each slow peer, whose writing would keep the disk busy for the others: those are reported the
// other way round, their work as NAME-x of the library's, and their whole processes as NAME-process-x.
func inTurn(b *testing.B, mine func() (float64, int64), fast []peer, slow []slowPeer) {
	got := map[string]ratios{}
	var times []float64
	var peak int64
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		theirs := map[string]float64{}
		before, after := fast, []peer(nil)
		if i%2 == 1 {
			before, after = nil, fast
		}
		for _, p := range before {
			theirs[p.name] = p.run()
		}
		b.StartTimer()
		seconds, nBytes := mine()
		b.StopTimer()
		times = append(times, seconds)
		for _, p := range after {
			theirs[p.name] = p.run()
		}
		for name, t := range theirs {
			got["x-"+name] = append(got["x-"+name], seconds/t)
		}
		peak = max(peak, nBytes)
		b.StartTimer()
	}
	b.StopTimer()
	for _, p := range slow {
		for range b.N {
			seconds, _ := mine()
			own := p.mine()
			work, process := p.run()
			got[p.name+"-x"] = append(got[p.name+"-x"], work/own)
			got[p.name+"-process-x"] = append(got[p.name+"-process-x"], process/seconds)
		}
	}
	for name, r := range got {
		r.report(b, name)
	}
	b.ReportMetric(1e3*median(times), "ms")
	b.ReportMetric(float64(peak)/1e6, "MB-peak")
	reportLoad(b)
}
