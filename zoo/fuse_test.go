package zoo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// batch is all of testdata and every fifth of the shared cases.
func batch(t *testing.T) []Work {
	t.Helper()
	dir := t.TempDir()
	models, err := filepath.Glob("../testdata/*.onnx")
	if err != nil || len(models) == 0 {
		t.Fatal("no testdata", err)
	}
	var list []Work
	for _, in := range models {
		list = append(list, Work{In: in, Out: filepath.Join(dir, filepath.Base(in)), Format: formatONNX})
	}
	for i, c := range onnxtest.Cases() {
		if i%5 == 0 {
			in := filepath.Join(dir, fmt.Sprint(i), "in.onnx")
			writeFile(t, in, c.Model.Bytes())
			for name, data := range c.Model.Files() {
				writeFile(t, filepath.Join(dir, fmt.Sprint(i), filepath.FromSlash(name)), data)
			}
			list = append(list, Work{In: in, Out: filepath.Join(dir, fmt.Sprint(i), "out.onnx"), Format: formatONNX})
		}
	}
	return list
}

// checkAlone wants of each model the files that it gives alone.
func checkAlone(t *testing.T, models []Work) {
	t.Helper()
	for _, w := range models {
		alone := filepath.Join(t.TempDir(), filepath.Base(w.Out))
		if _, err := onnx.FuseFile(context.Background(), w.In, alone, onnx.Options{Engine: host.New()}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readFile(t, w.Out), readFile(t, alone)) {
			t.Errorf("%s: other bytes than alone", w.In)
		}
	}
}

// Many models at once give what each gives alone; damaged ones, and one that is missing, hinder nobody.
func TestFuse(t *testing.T) {
	models := batch(t)
	good := len(models)
	cut := filepath.Join(t.TempDir(), "cut.onnx")
	writeFile(t, cut, readFile(t, models[0].In)[:1000])
	models = append(models, Work{In: cut, Out: cut + ".out", Format: formatONNX}, Work{In: cut + ".missing", Out: cut + ".out2", Format: formatONNX})
	for _, jobs := range []int{1, 7} {
		reports, errs := Fuse(context.Background(), models, BatchOptions{Engines: Engines{Engine: host.New()}, Jobs: jobs, Force: true, Log: slog.New(slog.DiscardHandler)})
		for i, w := range models {
			_, err := os.Stat(w.Out)
			if i < good && (errs[i] != nil || reports[i] == nil || err != nil) || i >= good && (errs[i] == nil || reports[i] != nil || err == nil) {
				t.Errorf("%s: error %v, report %v, output %v", w.In, errs[i], reports[i], err)
			}
		}
		checkAlone(t, models[:good])
	}
}

// Ending the context ends the work: every model is done or has the context's error, and nothing half-done
// is left.
func TestFuseCancelled(t *testing.T) {
	models := batch(t)
	ctx, cancel := context.WithCancel(context.Background())
	e := &losing{Engine: host.New(), after: 1, hook: cancel}
	reports, errs := Fuse(ctx, models, BatchOptions{Engines: Engines{Engine: e}, Jobs: 3, Log: slog.New(slog.DiscardHandler)})
	var done []Work
	for i, w := range models {
		switch {
		case errs[i] == nil && reports[i] != nil:
			done = append(done, w)
		case !errors.Is(errs[i], context.Canceled):
			t.Errorf("%s: error %v, report %v", w.In, errs[i], reports[i])
		}
	}
	if len(done) == len(models) {
		t.Error("nothing was left undone")
	}
	checkAlone(t, done)
	checkNoTemporaries(t, filepath.Dir(models[0].Out))
}

func checkNoTemporaries(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{".*", "*/.*", "*/*/.*"} {
		left, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range left {
			if filepath.Ext(path) == ".bnfuse-tmp" {
				t.Errorf("left behind: %s", path)
			}
		}
	}
}

// losing is an engine that fails with err after some calls, for good.
type losing struct {
	fuse.Engine
	calls, after int64
	err          error
	hook         func()
}

func (e *losing) Scale(s fuse.Slab, segments []fuse.Segment) error {
	if n := atomic.AddInt64(&e.calls, 1); n >= e.after {
		if e.hook != nil {
			e.hook()
		}
		if e.err != nil {
			return e.err
		}
	}
	return e.Engine.Scale(s, segments)
}

// Where a device is lost, what follows it does the models in hand and the rest; without a follower they
// fail, and the rest is not tried.
func TestFuseDeviceLost(t *testing.T) {
	for _, after := range []int64{1, 3} {
		models := batch(t)
		lost := &losing{Engine: host.New(), after: after, err: fmt.Errorf("%w: on purpose", fuse.ErrDeviceLost)}
		engines := Engines{Engine: lost, Fallback: func() fuse.Engine { return host.New() }}
		_, errs := Fuse(context.Background(), models, BatchOptions{Engines: engines, Jobs: 2, Log: slog.New(slog.DiscardHandler)})
		for i := range models {
			if errs[i] != nil {
				t.Error(errs[i])
			}
		}
		checkAlone(t, models)

		models = batch(t)
		lost.calls = 0
		_, errs = Fuse(context.Background(), models, BatchOptions{Engines: Engines{Engine: lost}, Jobs: 2, Log: slog.New(slog.DiscardHandler)})
		failed := 0
		for i := range models {
			if errors.Is(errs[i], fuse.ErrDeviceLost) {
				failed++
			} else if errs[i] != nil {
				t.Error(errs[i])
			}
		}
		if failed == 0 || after > 1 && failed == len(models) {
			t.Errorf("%d of %d models failed with the device", failed, len(models))
		}
		checkNoTemporaries(t, filepath.Dir(models[0].Out))
	}
}

// An engine's other errors fail the models at hand and no others.
func TestFuseEngineError(t *testing.T) {
	models := batch(t)
	e := &failsOnce{Engine: host.New()}
	_, errs := Fuse(context.Background(), models, BatchOptions{Engines: Engines{Engine: e}, Jobs: 2, Log: slog.New(slog.DiscardHandler)})
	failed := 0
	for i := range models {
		if errs[i] != nil {
			failed++
		}
	}
	if failed == 0 || failed == len(models) {
		t.Errorf("%d of %d models failed", failed, len(models))
	}
}

type failsOnce struct {
	fuse.Engine
	failed atomic.Bool
}

func (e *failsOnce) Scale(s fuse.Slab, segments []fuse.Segment) error {
	if e.failed.CompareAndSwap(false, true) {
		return errors.New("once")
	}
	return e.Engine.Scale(s, segments)
}

// A mistake of ours over one model is its error, and the others are done.
func TestPanicIsOneModels(t *testing.T) {
	var mu sync.Mutex
	outcomes := map[int]error{}
	p := &pipeline{
		jobs: 2, n: 3,
		open: func(_ context.Context, number int, _ fuse.Engine) (prepared, error) {
			if number == 1 {
				panic("an odd model")
			}
			return decided{&onnx.Result{}}, nil
		},
		done: func(number int, made outcome) {
			mu.Lock()
			defer mu.Unlock()
			outcomes[number] = made.err
		},
		engine: newSuccession(host.New(), nil, func(string) {}),
	}
	if err := p.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(outcomes) != 3 || outcomes[0] != nil || outcomes[2] != nil || outcomes[1] == nil || !strings.Contains(outcomes[1].Error(), "an odd model") {
		t.Errorf("outcomes %v", outcomes)
	}
}
