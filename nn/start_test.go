package nn

import (
	"os"
	"os/exec"
	"testing"

	// Imported so that go.mod requires it directly: gorgonia.org/tensor alone asks for a version too old.
	_ "go4.org/unsafe/assume-no-moving-gc"
)

// A program that imports gorgonia.org/tensor starts: without the go.mod line for assume-no-moving-gc it
// panics before main on every Go release that is newer than the package knows.
func TestProgramStarts(t *testing.T) {
	if os.Getenv("NN_TEST_STARTED") != "" {
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "-test.run=^TestProgramStarts$")
	c.Env = []string{"NN_TEST_STARTED=1"} // and no ASSUME_NO_MOVING_GC_UNSAFE_RISK_IT_WITH, which hides the panic
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
