//go:build cuda && cgo && !software

package cuda

import (
	"fmt"
	"os"
	"testing"

	"github.com/bnfuse/bnfuse/cuda/driver"
)

// Without package software the tests run on the machine's own driver.
func TestMain(m *testing.M) {
	if err := driver.Open(); err != nil {
		fmt.Println("SKIP: no CUDA device:", err)
		if os.Getenv("BNFUSE_REQUIRE_CUDA") == "1" {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// How much the benchmarks do: tensors so large that the launch does not count.
const (
	benchBytes    = 1 << 30
	benchNetworks = 11 // 1 GB
	benchRounds   = 7
	benchInARow   = 10
)
