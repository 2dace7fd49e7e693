package host

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse/fusetest"
)

// Every form of the loops gives the same bits: the widest this processor has passed the other tests, and
// here are those that stand in for it on other processors.
func TestOtherProcessors(t *testing.T) {
	defer func(avx2, avx512 bool) { hasAVX2, hasAVX512 = avx2, avx512 }(hasAVX2, hasAVX512)
	for _, c := range []struct {
		name         string
		avx2, avx512 bool
	}{
		{"AVX2", true, false},
		{"plain Go", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.avx2 && !hasAVX2 {
				t.Skip("this processor has no AVX2")
			}
			hasAVX2, hasAVX512 = c.avx2, c.avx512
			fusetest.Run(t, New())
			TestScaleEqualsReference(t)
			TestEveryInner(t)
			TestFloat32Ties(t)
			if c.avx2 {
				TestEveryHalf(t)
			}
		})
	}
}
