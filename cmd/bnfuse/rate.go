package main

import (
	"fmt"
	"time"

	"github.com/bnfuse/bnfuse/zoo"
)

// sample is how much was done at a moment.
type sample struct {
	at            time.Time
	models, bytes int64
}

// rate is how much is done in a second.
type rate struct {
	models, bytes float64
	known         bool
}

// Rates are those of the last moments, so that they follow when large models come after small ones.
const (
	rateWindow  = 10 * time.Second
	sampleEvery = 500 * time.Millisecond
	leastTime   = time.Second // before it has passed, a rate says nothing
)

func (v *zooView) rate(now time.Time) rate {
	new := sample{now, int64(v.totals.Done) - v.resumed.models, v.totals.BytesDone - v.resumed.bytes}
	if now.Sub(v.samples[len(v.samples)-1].at) >= sampleEvery {
		v.samples = append(v.samples, new)
	}
	for len(v.samples) > 2 && now.Sub(v.samples[1].at) >= rateWindow {
		v.samples = v.samples[1:]
	}
	old := v.samples[0]
	seconds := now.Sub(old.at).Seconds()
	if seconds < leastTime.Seconds() {
		return rate{}
	}
	return rate{float64(new.models-old.models) / seconds, float64(new.bytes-old.bytes) / seconds, true}
}

// speeds are "412.3 MB/s" and "32.1 models/s".
func (r rate) speeds() []string {
	if !r.known {
		return nil
	}
	return []string{inBytes(int64(max(0, r.bytes))) + "/s", fmt.Sprintf("%.1f models/s", max(0, r.models))}
}

// left is how long the rest will take, where that can be said.
func (r rate) left(t *zoo.Event) []string {
	rest, speed := float64(t.Bytes-t.BytesDone), r.bytes
	if t.Bytes == 0 {
		rest, speed = float64(t.Models-t.Done), r.models
	}
	if !r.known || speed <= 0 || rest <= 0 || rest/speed > (1000*time.Hour).Seconds() {
		return nil
	}
	d := time.Duration(rest / speed * float64(time.Second))
	return []string{max(d, time.Second).Round(time.Second).String() + " left"}
}
