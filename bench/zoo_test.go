package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// zooModels is how many models the benchmark's folder has.
const zooModels = 2000

const (
	copyAll       = `cp -r --reflink=never "$1" "$2"`
	copyAllSynced = copyAll + ` && find "$2" -type f -print0 | xargs -0 sync`
)

// BenchmarkZoo sets `bnfuse zoo` of many small models beside `cp -r` of the folder, and beside `cp -r` with a
// sync of every file: the zoo's journal promises that what it lists is on the disk, where cp promises nothing.
// The third peer is a loop of cp, a process a file.
//
// BNFUSE_ZOO names a folder of real models, which is then set beside its `cp -r` too.
//
//	BNFUSE_ZOO=/models go test ./bench -run - -bench Zoo -benchtime 7x
func BenchmarkZoo(b *testing.B) {
	program := buildProgram(b)
	b.Run("small", func(b *testing.B) { benchmarkSmallZoo(b, program) })
	if zoo := os.Getenv("BNFUSE_ZOO"); zoo != "" {
		b.Run("real", func(b *testing.B) { benchmarkRealZoo(b, program, zoo) })
	}
}

func benchmarkSmallZoo(b *testing.B, program string) {
	dir := b.TempDir()
	zoo := filepath.Join(dir, "zoo")
	nBytes := makeZoo(b, zoo)
	b.SetBytes(nBytes)
	// File systems are slow to use what was deleted just now, so that outputs stay until the end.
	n := 0
	out := func() string { n++; return filepath.Join(dir, fmt.Sprint("out", n)) }
	var seconds []float64
	fuse := func() (float64, int64) {
		s, peak := run(b, program, "zoo", zoo, "-o", out(), "--device", "cpu", "--quiet")
		seconds = append(seconds, s)
		return s, peak
	}
	copyZoo := peer{"cp", func() float64 { return shell(b, copyAll, zoo, out()) }}
	copySynced := peer{"cp-synced", func() float64 { return shell(b, copyAllSynced, zoo, out()) }}
	copyEach := peer{"cp-loop", func() float64 {
		return shell(b, `mkdir "$2" && cd "$1" && for d in *; do mkdir "$2/$d" && for f in "$d"/*; do cp --reflink=never "$f" "$2/$f"; done; done`, zoo, out())
	}}
	copyZoo.run() // the models come into the page cache
	inTurn(b, fuse, []peer{copyZoo, copySynced, copyEach}, nil)
	b.ReportMetric(zooModels/median(seconds), "models/s")
	b.ReportMetric(float64(nBytes)/1e6/median(seconds), "MB-in/s")
}

// benchmarkRealZoo takes away every output at once: they are large.
func benchmarkRealZoo(b *testing.B, program, zoo string) {
	models, nBytes := 0, int64(0)
	err := filepath.WalkDir(zoo, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			models++
			nBytes += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(nBytes)
	out := filepath.Join(b.TempDir(), "out")
	gone := func() {
		if err := os.RemoveAll(out); err != nil {
			b.Fatal(err)
		}
	}
	var seconds []float64
	fuse := func() (float64, int64) {
		defer gone()
		s, peak := run(b, program, "zoo", zoo, "-o", out, "--device", "cpu", "--quiet")
		seconds = append(seconds, s)
		return s, peak
	}
	copyZoo := peer{"cp", func() float64 {
		defer gone()
		return shell(b, copyAll, zoo, out)
	}}
	copySynced := peer{"cp-synced", func() float64 {
		defer gone()
		return shell(b, copyAllSynced, zoo, out)
	}}
	copyZoo.run() // the models come into the page cache
	inTurn(b, fuse, []peer{copyZoo, copySynced}, nil)
	b.ReportMetric(float64(models)/median(seconds), "models/s")
	b.ReportMetric(float64(nBytes)/1e6/median(seconds), "MB-in/s")
}

func shell(b *testing.B, script string, args ...string) float64 {
	start := time.Now()
	if out, err := exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...).CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", script, err, out)
	}
	return time.Since(start).Seconds()
}

// makeZoo copies the models of testdata, but for those with external data, over and over into folders of a
// hundred.
func makeZoo(b *testing.B, zoo string) (nBytes int64) {
	models, err := filepath.Glob("../testdata/*.onnx")
	if err != nil {
		b.Fatal(err)
	}
	var contents [][]byte
	for _, path := range models {
		if strings.Contains(path, "external") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		contents = append(contents, text)
	}
	for i := range zooModels {
		folder := filepath.Join(zoo, fmt.Sprintf("%02d", i/100))
		if err := os.MkdirAll(folder, 0o777); err != nil {
			b.Fatal(err)
		}
		text := contents[i%len(contents)]
		nBytes += int64(len(text))
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%04d.onnx", i)), text, 0o666); err != nil {
			b.Fatal(err)
		}
	}
	return nBytes
}
