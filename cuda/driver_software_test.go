//go:build cuda && cgo && software

package cuda

import (
	"os"
	"testing"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/cuda/software"
)

func TestMain(m *testing.M) {
	software.Configure("")
	if err := driver.OpenFrom(software.Symbols()); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// How much the benchmarks do: here they need only run.
const (
	benchBytes    = 1 << 20
	benchNetworks = 2
	benchRounds   = 1
	benchInARow   = 1
)
