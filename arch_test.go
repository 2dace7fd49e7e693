package bnfuse

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bnfuse/bnfuse"

// mayImport says which of our packages, and which of gorgonia's, a package may import outside its tests.
// A name that ends in a slash stands for the packages below it. The order is that of the way through the
// tree: read, decide, multiply, write.
var mayImport = []importRule{
	{"fuse", nil, "it decides, and knows no file, no device and no other package"},
	{"fuse/fusetest", []string{"fuse"}, "its cases are for every engine"},
	{"internal/", []string{"fuse", "internal/"}, "front ends and engines share it"},
	{"kernels", nil, "it is text"},
	{"host", []string{"fuse", "internal/"}, "an engine knows no file format"},
	{"cuda", []string{"fuse", "internal/", "kernels", "cuda/driver", "gorgonia.org/cu"}, "an engine knows no file format"},
	{"cuda/", []string{"kernels"}, "the driver knows nothing of norms"},
	{"onnx", []string{"fuse", "internal/"}, "a front end never asks which engine runs"},
	{"onnx/onnxtest", []string{"fuse"}, "it judges package onnx and must not lean on it"},
	{"checkpoint", []string{"fuse", "internal/", "onnx"}, "a front end never asks which engine runs; an ONNX graph tells it the pairs"},
	{"zoo", []string{"fuse", "onnx", "checkpoint", "report", "internal/"}, "it drives many files, and the engine is given to it"},
	{"verify", []string{"verify/"}, "it must be able to catch the mistakes of fuse, of the engines and of the front ends"},
	{"verify/", nil, "likewise"},
	{"nn", []string{"fuse", "internal/", "host", "gorgonia.org/tensor"}, "a front end; the CPU is its default engine"},
	{"report", []string{"fuse"}, "it prints plans"},
	{"", []string{"fuse", "host", "onnx", "checkpoint", "zoo", "verify", "report", "internal/", "cuda"}, "the door; cuda is for cgo.go alone"},
	{"cmd/bnfuse", []string{"", "report", "verify", "zoo", "internal/"}, "it reads flags and prints"},
	{"bench", nil, "it is tests"},
	{"bench/", nil, "it reads what the benchmarks print"},
	{"examples/", []string{"", "fuse", "host", "nn", "cuda", "cuda/driver", "onnx", "gorgonia.org/"}, "users may do as they like"},
}

type importRule struct {
	pkg  string
	uses []string
	why  string
}

func TestImportsFollowTheArrow(t *testing.T) {
	for _, p := range goList(t, "-tags=cuda,software", "./...") {
		pkg, ours := ourName(p.ImportPath)
		if !ours || strings.HasPrefix(pkg, "build/") { // nothing in build/ is part of the tree
			continue
		}
		i := slices.IndexFunc(mayImport, func(r importRule) bool { return matches(pkg, r.pkg) })
		if i < 0 {
			t.Errorf("package %s: mayImport does not say what it may import", pkg)
			continue
		}
		rule := mayImport[i]
		for _, imported := range p.Imports {
			name, ours := ourName(imported)
			if !ours && !strings.HasPrefix(imported, "gorgonia.org/") {
				continue
			}
			if !slices.ContainsFunc(rule.uses, func(u string) bool { return matches(name, u) }) {
				t.Errorf("package %s imports %s: %s", pkg, imported, rule.why)
			}
		}
	}
}

// TestOnlyCgoGoLinksCUDA: without the tag nothing of the binding is in the command, and its start is not
// slowed down by packages it does not need.
func TestOnlyCgoGoLinksCUDA(t *testing.T) {
	for _, p := range goList(t, "-deps", "./cmd/bnfuse") {
		if strings.HasPrefix(p.ImportPath, "gorgonia.org/") || p.ImportPath == module+"/cuda" {
			t.Errorf("cmd/bnfuse is linked with %s", p.ImportPath)
		}
	}
}

// ourName is the path below the module, "" for the module itself.
func ourName(path string) (string, bool) {
	if path == module {
		return "", true
	}
	name, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		name = path
	}
	return name, ok
}

func matches(name, pattern string) bool {
	if strings.HasSuffix(pattern, "/") {
		return strings.HasPrefix(name, pattern)
	}
	return name == pattern
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// goList asks the go command. cgo counts as there, whether or not this machine has a C compiler.
func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %v\n%s", cmd, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var list []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}
