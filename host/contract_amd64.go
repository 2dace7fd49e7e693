package host

import "github.com/bnfuse/bnfuse/fuse"

// widen converts len(dst) elements of b to float64.
func widen(dst []float64, dt fuse.DType, b []byte) {
	done := 0
	if whole := len(dst) &^ 7; hasAVX2 && whole > 0 {
		switch dt {
		case fuse.Float32:
			widenF32(&dst[0], &b[0], whole)
			done = whole
		case fuse.Float16:
			widenF16(&dst[0], &b[0], whole)
			done = whole
		case fuse.BFloat16:
			widenBF16(&dst[0], &b[0], whole)
			done = whole
		}
	}
	widenPortable(dst[done:], dt, b[done*dt.Size():])
}

// addProducts adds w[i]·s[i·step] to lane (lane+i) mod NumLanes, in ascending order: lanes of whole rounds
// do not depend on each other, so the assembly adds all 32 at once.
func addProducts(lanes []float64, lane int, w, s []float64, step int) {
	if !hasAVX2 {
		addProductsPortable(lanes, lane, w, s, step)
		return
	}
	head := min(-lane&(fuse.NumLanes-1), len(w)) // up to lane 0
	addProductsPortable(lanes, lane, w[:head], s, step)
	w, s = w[head:], s[head*step:]
	if rounds := len(w) / fuse.NumLanes; rounds > 0 {
		addRounds(&lanes[0], &w[0], &s[0], rounds, step)
		w, s = w[rounds*fuse.NumLanes:], s[rounds*fuse.NumLanes*step:]
	}
	addProductsPortable(lanes, 0, w, s, step)
}

// widenF32 is dst[i] = float64(src[i]) for n elements, a multiple of 8.
//
//go:noescape
func widenF32(dst *float64, src *byte, n int)

// widenF16 is the same for float16.
//
//go:noescape
func widenF16(dst *float64, src *byte, n int)

// widenBF16 is the same for bfloat16.
//
//go:noescape
func widenBF16(dst *float64, src *byte, n int)

// addRounds is lanes[l] += w[32r+l]·s[32r+l] for r = 0, 1 … in ascending order, each product rounded before
// it is added; with step 0 s is one number.
//
//go:noescape
func addRounds(lanes, w, s *float64, rounds, step int)
