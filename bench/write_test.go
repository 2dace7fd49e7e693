package bench

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
)

// BenchmarkWrite copies 100 MB from a buffer in the cache into a new file, by writes of 1 MiB: what the way costs
// from a slab into the page cache, by where the writes begin in the file and in memory. x-aligned is the time
// divided by that where both begin at multiples of 1 MiB, taken in turn.
//
//	go test ./bench -run - -bench Write -benchtime 21x
func BenchmarkWrite(b *testing.B) {
	for _, at := range []struct{ file, memory int }{{4096, 0}, {64, 0}, {123, 123}, {123, 0}, {0, 123}} {
		b.Run(fmt.Sprintf("file+%d/memory+%d", at.file, at.memory), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "out")
			var ms []float64
			var ofAligned ratios
			for range b.N {
				aligned := write(b, path, 0, 0)
				seconds := write(b, path, at.file, at.memory)
				ms, ofAligned = append(ms, 1e3*seconds), append(ofAligned, seconds/aligned)
			}
			b.ReportMetric(median(ms), "ms")
			ofAligned.report(b, "x-aligned")
			reportLoad(b)
		})
	}
}

// write makes a file from the given offset on, of memory that begins so many bytes behind a page, and removes it.
func write(b *testing.B, path string, offset, shift int) (seconds float64) {
	const nBytes, piece, page = 100_000_000, 1 << 20, 4096
	memory := make([]byte, piece+2*page)
	from := memory[int(-uintptr(unsafe.Pointer(&memory[0]))&(page-1))+shift:][:piece]
	for i := range from {
		from[i] = byte(i)
	}
	start := time.Now()
	f, err := atomicfile.Create(path, 0o666, false)
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Reserve(nBytes+piece, false); err != nil {
		b.Fatal(err)
	}
	for at := offset; at < nBytes; at += piece {
		if _, err := f.WriteAt(from, int64(at)); err != nil {
			b.Fatal(err)
		}
	}
	seconds = time.Since(start).Seconds()
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return seconds
}
