// Package kernels holds the CUDA kernels: their source, and the PTX made from it, embedded in the program.
//
// A kernel has the name of its file. Every parameter is eight bytes wide, tables consist of eight-byte
// fields, and any grid of [Threads] threads a block will do. The PTX is made by nvcc 11.8 for compute_75:
// drivers from 520 on load it, for every device since Turing.
//
// `make kernels` makes the PTX anew. A test notices when the sources have changed since. With the build tag
// fatbin, after `make fatbins`, the program holds machine code too, for containers without the driver's
// compiler.
package kernels

import (
	"embed"
	"regexp"
)

// What both sides of a launch must agree on; a test compares it with the source.
const (
	Threads   = 256   // of a block
	TileBytes = 16384 // how much of a tensor a block scales at a time
	Lanes     = 32    // the threads of a warp, and the partial sums of an output
	Few       = 4     // the vectors of a thread of fold
	Abreast   = 4     // the outputs of a warp of fold_sums that goes through rows
)

// Names are the kernels, each in the file of its name.
var Names = []string{"affine", "contract", "fold", "fold_sums", "scale"}

//go:embed *.ptx
var ptx embed.FS

// PTX is the compiled text of a kernel.
func PTX(name string) string {
	text, err := ptx.ReadFile(name + ".ptx")
	if err != nil {
		panic("kernels: no kernel is called " + name)
	}
	return string(text)
}

var (
	version = regexp.MustCompile(`(?m)^\.version (\S+)$`)
	target  = regexp.MustCompile(`(?m)^\.target sm_(\d+)$`)
)

// Version is the version of the PTX language that a kernel is written in, "7.8".
func Version(name string) string { return version.FindStringSubmatch(PTX(name))[1] }

// Target is the least compute capability that runs a kernel, "75" for 7.5.
func Target(name string) string { return target.FindStringSubmatch(PTX(name))[1] }
