package kernels

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func glob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var names []string
	for _, p := range patterns {
		m, err := filepath.Glob(p)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, m...)
	}
	return names
}

// A kernel changed without `make kernels` would run as it was before.
func TestPTXIsOfTheseSources(t *testing.T) {
	var now strings.Builder
	for _, name := range glob(t, "*.cu", "*.cuh", "generate") {
		fmt.Fprintf(&now, "%x  %s\n", sha256.Sum256([]byte(read(t, name))), name)
	}
	if now.String() != read(t, "sources.sha256") {
		t.Errorf("the PTX was made from other sources: run `make kernels`\nnow:\n%srecorded:\n%s", &now, read(t, "sources.sha256"))
	}
}

// Go would go on testing the old kernels: its cache does not know what the software driver includes.
func TestSoftwareDriverHasTheseSources(t *testing.T) {
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(read(t, "sources.sha256"))))
	if header := read(t, "../cuda/software/kernels.h"); !strings.Contains(header, hash) {
		t.Errorf("cuda/software/kernels.h is of other sources: run `make kernels`\n%s", header)
	}
}

func TestEveryKernelHasAFile(t *testing.T) {
	var sources, compiled []string
	for _, name := range Names {
		sources = append(sources, name+".cu")
		compiled = append(compiled, name+".ptx")
	}
	if got := glob(t, "*.cu"); !slices.Equal(got, sources) {
		t.Errorf("sources are %v, want %v", got, sources)
	}
	if got := glob(t, "*.ptx"); !slices.Equal(got, compiled) {
		t.Errorf("PTX files are %v, want %v", got, compiled)
	}
}

// One entry a file, with the file's name; parameters of eight bytes, because the binding copies eight bytes
// from each argument.
func TestEntryPoints(t *testing.T) {
	entry := regexp.MustCompile(`(?s)\.visible \.entry (\w+)\((.*?)\)`)
	for _, name := range Names {
		found := entry.FindAllStringSubmatch(PTX(name), -1)
		if len(found) != 1 || found[0][1] != name {
			t.Errorf("%s.ptx has the entries %v, want %s alone", name, found, name)
			continue
		}
		for _, parameter := range strings.Split(found[0][2], ",") {
			if !strings.HasPrefix(strings.TrimSpace(parameter), ".param .u64 ") {
				t.Errorf("%s.ptx: parameter %q is not eight bytes wide", name, parameter)
			}
		}
	}
}

// Newer PTX needs a newer driver, a fused multiply-add has other bits, and ftz loses subnormals.
func TestPTXIsOldAndExact(t *testing.T) {
	for _, name := range Names {
		if v := Version(name); v != "7.8" {
			t.Errorf("%s.ptx is version %s, want 7.8: make it with nvcc 11.8", name, v)
		}
		if c := Target(name); c != "75" {
			t.Errorf("%s.ptx is for sm_%s, want sm_75", name, c)
		}
		if bad := regexp.MustCompile(`\bfma\.|\.ftz|\.approx`).FindString(PTX(name)); bad != "" {
			t.Errorf("%s.ptx has %q", name, bad)
		}
	}
}

func TestConstantsAreTheSources(t *testing.T) {
	source := read(t, "scale.cuh") + read(t, "contract.cuh") + read(t, "fold.cuh") + read(t, "element.cuh")
	constant := func(name string) (n int) {
		m := regexp.MustCompile(`\b` + name + ` = (\d+)[ ,]`).FindStringSubmatch(source)
		if m == nil {
			t.Fatalf("no constant %s", name)
		}
		fmt.Sscan(m[1], &n)
		return n
	}
	if n := constant("THREADS"); n != Threads {
		t.Errorf("THREADS is %d, Threads %d", n, Threads)
	}
	if n := Threads * constant("VECTOR_BYTES") * constant("VECTORS_PER_THREAD"); n != TileBytes {
		t.Errorf("TILE_BYTES is %d, TileBytes %d", n, TileBytes)
	}
	if n := constant("LANES"); n != Lanes || Lanes != fuse.NumLanes {
		t.Errorf("LANES is %d, Lanes %d, fuse.NumLanes %d", n, Lanes, fuse.NumLanes)
	}
	if few, abreast := constant("FEW"), constant("ABREAST"); few != Few || abreast != Abreast {
		t.Errorf("FEW is %d, Few %d; ABREAST is %d, Abreast %d", few, Few, abreast, Abreast)
	}
	for name, d := range map[string]fuse.DType{"FLOAT64": fuse.Float64, "FLOAT32": fuse.Float32, "FLOAT16": fuse.Float16, "BFLOAT16": fuse.BFloat16} {
		if n := constant(name); n != int(d) {
			t.Errorf("%s is %d, fuse's %d", name, n, d)
		}
	}
}
