//go:build cuda && cgo && software

package main

import (
	"os"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/cuda/software"
)

func init() {
	software.Configure("")
	if err := driver.OpenFrom(software.Symbols()); err != nil {
		panic(err)
	}
}

func Example() {
	if err := run(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// scale  γ/√(σ²+ε)  = [2 1.5]
	// weight [1 2 3 4]  → [2 4 4.5 6]
	// bias   [0.5 -0.5] → [-1 0.25]
}
