package driver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// toolkitHeader is a toolkit's cuda.h: the one BNFUSE_CUDA_H names, or one that is installed.
func toolkitHeader(t *testing.T) string {
	if path := os.Getenv("BNFUSE_CUDA_H"); path != "" {
		if _, err := os.Stat(path); err != nil {
			t.Fatal("BNFUSE_CUDA_H: ", err)
		}
		return path
	}
	for _, path := range []string{"/usr/local/cuda/include/cuda.h", "/usr/include/cuda.h", "/opt/cuda/include/cuda.h"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skip("no CUDA toolkit's cuda.h here; name one with BNFUSE_CUDA_H")
	return ""
}

// compileC writes a C file and compiles it, returning the path of what gcc made.
func compileC(t *testing.T, source string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "a.c"), filepath.Join(dir, "a.out")
	if err := os.WriteFile(in, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	args = append(args, "-o", out, in)
	if msg, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, msg)
	}
	return out
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A second declaration of a function with another type is a compile error, so the compiler compares.
func TestPrototypesAreTheToolkits(t *testing.T) {
	real := toolkitHeader(t)
	list, err := filepath.Abs("include/functions.h")
	if err != nil {
		t.Fatal(err)
	}
	compileC(t, fmt.Sprintf("#include %q\n#define F(name, args) CUresult CUDAAPI name args;\n#include %q\n", real, list), "-c")
}

// Each header prints its own constants, sizes and offsets; the lines must be the same.
func TestConstantsAndLayoutsAreTheToolkits(t *testing.T) {
	real := toolkitHeader(t)
	ours, err := filepath.Abs("include/cuda.h")
	if err != nil {
		t.Fatal(err)
	}
	facts := factsOf(t, readFile(t, ours))
	program := func(header string) []string {
		exe := compileC(t, fmt.Sprintf("#include %q\n#include <stdio.h>\n#include <stddef.h>\nint main(void) {\n%s}\n", header, facts))
		out, err := exec.Command(exe).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(out), "\n")
	}
	got, want := program(ours), program(real)
	if len(got) < 300 {
		t.Errorf("only %d facts were compared", len(got))
	}
	for i := range want {
		// The one fact that grew: 31 up to CUDA 12.0, 255 from 12.1. The binding only exports it.
		if got[i] != want[i] && !strings.HasPrefix(want[i], "CU_CTX_FLAGS_MASK") {
			t.Errorf("cuda.h says %q, the toolkit %q", got[i], want[i])
		}
	}
}

// factsOf is C that prints the value of every constant, the size and sign of every scalar type, and the
// size and offsets of every struct that the header defines.
func factsOf(t *testing.T, header string) string {
	t.Helper()
	var b strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^\t(CU\w+) = `).FindAllStringSubmatch(header, -1) {
		fmt.Fprintf(&b, "printf(\"%s = %%lld\\n\", (long long)%s);\n", m[1], m[1])
	}
	enums := regexp.MustCompile(`(?s)typedef unsigned (CUresult.*?);`).FindStringSubmatch(header)
	for _, name := range append(strings.FieldsFunc(enums[1], func(r rune) bool { return strings.ContainsRune(", \n\t", r) }),
		"CUdevice", "CUdeviceptr", "cuuint32_t") {
		fmt.Fprintf(&b, "printf(\"%s: %%zu %%d\\n\", sizeof(%s), (%s)-1 < 0);\n", name, name, name)
	}
	comments := regexp.MustCompile(`/\*.*?\*/`)
	structs := regexp.MustCompile(`typedef struct \{([^{}]*)\} (CUDA_\w+);`).FindAllStringSubmatch(header, -1)
	if len(structs) != 8 {
		t.Fatalf("found %d structs in cuda.h", len(structs))
	}
	for _, m := range structs {
		fmt.Fprintf(&b, "printf(\"%s: %%zu\\n\", sizeof(%s));\n", m[2], m[2])
		for _, field := range fieldNames(comments.ReplaceAllString(m[1], "")) {
			fmt.Fprintf(&b, "printf(\"%s.%s: %%zu\\n\", offsetof(%s, %s));\n", m[2], field, m[2], field)
		}
	}
	return b.String()
}

// fieldNames are the last words of the declarators of a struct's body.
func fieldNames(body string) []string {
	var names []string
	for _, declarator := range strings.FieldsFunc(body, func(r rune) bool { return r == ';' || r == ',' }) {
		words := strings.FieldsFunc(declarator, func(r rune) bool { return strings.ContainsRune(" *\t\n", r) })
		if len(words) > 0 {
			names = append(names, words[len(words)-1])
		}
	}
	return names
}

func TestFunctionsAreListedOnce(t *testing.T) {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^F\((\w+),`).FindAllStringSubmatch(readFile(t, "include/functions.h"), -1) {
		names = append(names, m[1])
	}
	if n := len(names); n != 162 {
		t.Errorf("%d functions, want the 159 of gorgonia.org/cu and our 3", n)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != 162 {
		t.Error("a function is listed twice")
	}
}

func TestTrampolinesCompileForArm64(t *testing.T) {
	const gcc = "aarch64-linux-gnu-gcc"
	if _, err := exec.LookPath(gcc); err != nil {
		t.Skip(err)
	}
	out := filepath.Join(t.TempDir(), "trampolines.o")
	if msg, err := exec.Command(gcc, "-c", "-O2", "-Wall", "-Werror", "-o", out, "trampolines.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
}
