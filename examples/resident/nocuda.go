//go:build !cuda || !cgo

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "resident: this program was built without CUDA; `make example-resident` builds it with")
	os.Exit(1)
}
