package host

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse/fusetest"
)

// The plain Go loops pass everything the assembly passes.
func TestWithoutAVX2(t *testing.T) {
	if !hasAVX2 {
		t.Skip("this processor has no AVX2: the other tests have used the plain Go loops")
	}
	hasAVX2 = false
	defer func() { hasAVX2 = true }()
	fusetest.Run(t, New())
	TestScaleEqualsReference(t)
	TestFloat32Ties(t)
}
