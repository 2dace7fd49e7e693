// Package bench measures what docs claim, as ratios within one run: the machine's other load then hits
// both sides. Nothing here is asserted.
//
//	go test ./bench -run - -bench Host -benchtime 40x
package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// BenchmarkHost compares the host engine with what it is meant to keep up with, on as many threads: a C loop that
// multiplies float32 weights in memory of the same size by one scale, one that has the engine's scales, a
// channel's for inner weights in a row, and memcpy. of-C, of-channels and of-memcpy are medians of the ratios of
// rates per byte, with their quartiles, the four taken in turn.
//
// The first size is beyond every cache. The second is a slab for each thread, which stays in the cache
// between a read and a write.
func BenchmarkHost(b *testing.B) {
	program := compileLoop(b)
	_, slabBytes := host.New().Slabs()
	for _, threads := range []int{1, 2} {
		if threads > runtime.NumCPU() {
			continue
		}
		for _, size := range []struct {
			name   string
			nBytes int // for each thread
			passes int
		}{{"memory", 256 << 20 / threads, 1}, {"slab", slabBytes, 64}} {
			for _, dt := range []fuse.DType{fuse.Float32, fuse.Float16, fuse.BFloat16, fuse.Float64} {
				for _, inner := range []int{4608, 9, 1} {
					b.Run(fmt.Sprintf("%s/threads=%d/%v/inner=%d", size.name, threads, dt, inner), func(b *testing.B) {
						compare(b, program, threads, size.nBytes, size.passes, dt, inner)
					})
				}
			}
		}
	}
}

func compare(b *testing.B, program string, threads, nBytes, passes int, dt fuse.DType, inner int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	file, memory := share(b, threads*nBytes)
	var work []*worker
	for i := range threads {
		work = append(work, newWorker(dt, inner, memory[i*nBytes:][:nBytes], uint64(i)))
	}
	cmd := exec.Command(program, fmt.Sprint(threads), fmt.Sprint(nBytes), fmt.Sprint(passes),
		fmt.Sprint(inner), fmt.Sprint(channels(nBytes/4, inner)))
	cmd.ExtraFiles = []*os.File{file}
	c := start(b, cmd)
	defer c.stop()
	bytes := float64(work[0].elems()*dt.Size()) * float64(threads*passes)
	total := float64(nBytes) * float64(threads*passes)

	b.SetBytes(int64(bytes))
	var ofC, ofChannels, ofMemcpy ratios
	var rates []float64
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		cSeconds, channelsSeconds, copySeconds := c.run(b, "s"), c.run(b, "c"), c.run(b, "m")
		scaleAll(b, work, passes) // not counted, as in the C program
		b.StartTimer()
		seconds := scaleAll(b, work, passes)
		rate := bytes / seconds
		rates = append(rates, rate/1e9)
		ofC = append(ofC, rate/(total/cSeconds))
		ofChannels = append(ofChannels, rate/(total/channelsSeconds))
		ofMemcpy = append(ofMemcpy, rate/(total/copySeconds))
	}
	b.ReportMetric(median(rates), "GB/s")
	ofC.report(b, "of-C")
	ofChannels.report(b, "of-channels")
	ofMemcpy.report(b, "of-memcpy")
}

// channels is how many a weight of elems elements has, inner of each in a row: as in a convolution [Cout, …], but for
// one in a row as in a MatMul of 1,024 outputs [in, out].
func channels(elems, inner int) int {
	if inner == 1 {
		return 1024
	}
	return max(1, elems/inner)
}

// share gives memory that another process can map, too, as the file. The same pages lie under both: how fast memory is
// depends on where its pages are, by a quarter from one process to the next.
func share(b *testing.B, nBytes int) (*os.File, []byte) {
	b.Helper()
	fd, err := unix.MemfdCreate("weights", unix.MFD_CLOEXEC)
	if err != nil {
		b.Skip(err)
	}
	file := os.NewFile(uintptr(fd), "weights")
	b.Cleanup(func() { file.Close() })
	if err := file.Truncate(int64(nBytes)); err != nil {
		b.Fatal(err)
	}
	memory, err := unix.Mmap(fd, 0, nBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Munmap(memory) })
	return file, memory
}

// worker scales a slab of its own by scales that keep the weights where they are.
type worker struct {
	engine   *host.Engine
	slab     fuse.Slab
	segments [2][]fuse.Segment // there and back
}

func newWorker(dt fuse.DType, inner int, memory []byte, seed uint64) *worker {
	r := rand.New(rand.NewPCG(seed, 1))
	elems := len(memory) / dt.Size()
	v := fuse.View{Groups: 1, Outer: 1, Channels: channels(elems, inner), Inner: inner}
	v.Outer = elems / (v.Channels * v.Inner)
	w := &worker{engine: host.New()}
	unit := make([]float64, 1<<16)
	for i := range unit {
		unit[i] = r.NormFloat64() * 0.05
	}
	encoded := elem.Encode(dt, unit)
	for at := 0; at < len(memory); {
		at += copy(memory[at:], encoded)
	}
	w.slab = host.Wrap(memory)
	up, down := make([]float64, v.NumChannels()), make([]float64, v.NumChannels())
	for i := range up {
		up[i] = 0.5 + r.Float64()
		down[i] = 1 / up[i]
	}
	piece := fuse.Piece{Elems: v.Elems(), DType: dt}
	for i, s := range [][]float64{up, down} {
		w.segments[i] = []fuse.Segment{{Piece: piece, After: fuse.Factor{View: v, Scale: s}}}
	}
	return w
}

func (w *worker) elems() int { return w.segments[0][0].Elems }

// scaleAll has each worker scale its slab, passes times there and back, on a goroutine of its own.
func scaleAll(b *testing.B, work []*worker, passes int) (seconds float64) {
	done := make(chan error, len(work))
	start := time.Now()
	for _, w := range work {
		go func() {
			var err error
			for p := range passes {
				err = w.engine.Scale(w.slab, w.segments[p%2])
			}
			w.segments[0], w.segments[1] = w.segments[passes%2], w.segments[1-passes%2]
			done <- err
		}()
	}
	for range work {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	return time.Since(start).Seconds()
}

// loopSource is the C program: it has threads buffers of float32 in file 3 and does one thing with them for each line
// read, s to scale by one number, c by a number a channel and m to copy: twice, because a core that has just waited is
// slow for some milliseconds, and answers how long the second time took. The numbers are 1, which the compiler cannot
// know: the weights, whatever their type, stay what they are.
const loopSource = `
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static size_t n, passes, inner, channels;
static char what;
struct buffers { float *w, *copy, *s; };

__attribute__((noipa)) static void scale(float *w, size_t n, float s)
{
	for (size_t i = 0; i < n; i++)
		w[i] = s * w[i];
}

__attribute__((noipa)) static void scale_channels(float *restrict w, size_t n, const float *restrict s)
{
	size_t row = channels * inner;
	for (float *end = w + n / row * row; w < end; w += row)
		if (inner == 1)
			for (size_t c = 0; c < channels; c++)
				w[c] = s[c] * w[c];
		else
			for (size_t c = 0; c < channels; c++)
				for (size_t k = 0; k < inner; k++)
					w[c * inner + k] = s[c] * w[c * inner + k];
}

static void *work(void *p)
{
	struct buffers *b = p;
	for (size_t i = 0; i < passes; i++)
		if (what == 's')
			scale(b->w, n, b->s[0]);
		else if (what == 'c')
			scale_channels(b->w, n, b->s);
		else
			memcpy(b->copy, b->w, n * sizeof *b->w);
	return 0;
}

static void work_all(struct buffers *b, pthread_t *t, int threads)
{
	for (int i = 1; i < threads; i++)
		pthread_create(&t[i], 0, work, &b[i]);
	work(&b[0]);
	for (int i = 1; i < threads; i++)
		pthread_join(t[i], 0);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(int argc, char **argv)
{
	int threads = atoi(argv[1]);
	n = strtoull(argv[2], 0, 10) / sizeof(float);
	passes = strtoull(argv[3], 0, 10);
	inner = strtoull(argv[4], 0, 10);
	channels = strtoull(argv[5], 0, 10);
	struct buffers *b = calloc(threads, sizeof *b);
	pthread_t *t = calloc(threads, sizeof *t);
	float *w = mmap(0, threads * n * sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, 3, 0);
	if (w == MAP_FAILED)
		return 1;
	for (int i = 0; i < threads; i++) {
		b[i].w = w + i * n;
		b[i].copy = aligned_alloc(4096, n * sizeof(float) + 4096 & ~4095ul);
		b[i].s = malloc(channels * sizeof(float));
		for (size_t j = 0; j < channels; j++)
			b[i].s[j] = 1;
		memset(b[i].copy, 1, n * sizeof(float));
	}
	char line[16];
	while (fgets(line, sizeof line, stdin)) {
		what = line[0];
		work_all(b, t, threads);
		double start = now();
		work_all(b, t, threads);
		printf("%.9f\n", now() - start);
		fflush(stdout);
	}
	return 0;
}
`

// compileLoop builds the C program for this processor, or skips where there is no gcc.
func compileLoop(b *testing.B) string {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		b.Skip("no gcc to compile the C loop with: ", err)
	}
	dir := b.TempDir()
	source, program := filepath.Join(dir, "loop.c"), filepath.Join(dir, "loop")
	if err := os.WriteFile(source, []byte(loopSource), 0o666); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-O3", "-march=native", "-pthread", "-o", program, source).CombinedOutput(); err != nil {
		b.Skipf("gcc: %v\n%s", err, out)
	}
	return program
}
