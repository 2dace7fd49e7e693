package host

// The assembly for processors with AVX-512: vectors twice as wide, in blocks of 32. There are three functions to each
// one of AVX2, which the first names in its comment, and they differ in where an element finds its scale:
//
//	wide   w[i] *= s[(in+i) mod period]; period is at least 32, and s has the first 31 once more behind the last
//	runs   w[i] *= s[(in+i)/inner], where lanes is that of element in of a run (see assembly); inner is at least
//	       fewestInner, and up to 16 scales are read at a block's first run
//	long   w[i] *= s[(inner-left+i)/inner], where left elements of the first run are left; inner is at least 32

// wideF64 is scaleF64.
//
//go:noescape
func wideF64(w *byte, n int, s *float64, in, period int) (done, vanished int)

//go:noescape
func runsF64(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longF64(w *byte, n int, s *float64, left, inner int) (done, vanished int)

// wideF32 is scaleF32.
//
//go:noescape
func wideF32(w *byte, n int, s *float64, in, period int) (done, vanished int)

//go:noescape
func runsF32(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longF32(w *byte, n int, s *float64, left, inner int) (done, vanished int)

// wideQuickF32 does what wideF32 does, without blocks in doubt, as those with a result below 2^-82 are that is not
// zero by a zero; vanished is 0. s is in two parts, as wideSplit makes them.
//
//go:noescape
func wideQuickF32(w *byte, n int, s *float32, in, period int) (done, vanished int)

//go:noescape
func runsQuickF32(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longQuickF32(w *byte, n int, s *float32, left, inner int) (done, vanished int)

// wideF16 is scaleF16.
//
//go:noescape
func wideF16(w *byte, n int, s *float64, in, period int) (done, vanished int)

//go:noescape
func runsF16(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longF16(w *byte, n int, s *float64, left, inner int) (done, vanished int)

// wideBF16 is scaleBF16; it stops at subnormal results, too.
//
//go:noescape
func wideBF16(w *byte, n int, s *float64, in, period int) (done, vanished int)

//go:noescape
func runsBF16(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longBF16(w *byte, n int, s *float64, left, inner int) (done, vanished int)

// wideQuickF16 is quickF16.
//
//go:noescape
func wideQuickF16(w *byte, n int, s *float32, in, period int) (done, vanished int)

//go:noescape
func runsQuickF16(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longQuickF16(w *byte, n int, s *float32, left, inner int) (done, vanished int)

// wideQuickBF16 is quickBF16.
//
//go:noescape
func wideQuickBF16(w *byte, n int, s *float32, in, period int) (done, vanished int)

//go:noescape
func runsQuickBF16(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longQuickBF16(w *byte, n int, s *float32, left, inner int) (done, vanished int)

// wideNarrow is narrow.
//
//go:noescape
func wideNarrow(dst *float32, src *float64, n int) bool

// wideSplit makes two float32 of each of n scales, a multiple of 8: dst[i] is about src[i], and dst[tableRoom+i] what
// this lacks of src[i]·(1 − 2^-45). It reports whether the scales suit wideQuickF32: they are zero, or 2^-80 or more
// and less than 2^80, whatever the sign.
//
//go:noescape
func wideSplit(dst *float32, src *float64, n int) bool
