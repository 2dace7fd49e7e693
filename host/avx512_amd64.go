package host

// The assembly for processors with AVX-512: vectors twice as wide, for the blocks of 32 with nothing
// special in them. Each does what the function named in its comment does, and stops in front of a block
// with a zero too, so that it has nothing to count.

// wideF32 is scaleF32.
//
//go:noescape
func wideF32(w *byte, n int, s *float64, step int) (done int)

// wideF16 is scaleF16.
//
//go:noescape
func wideF16(w *byte, n int, s *float64, step int) (done int)

// wideBF16 is scaleBF16; it stops at subnormal results, too.
//
//go:noescape
func wideBF16(w *byte, n int, s *float64, step int) (done int)

// wideQuickF16 is quickF16.
//
//go:noescape
func wideQuickF16(w *byte, n int, s *float32, step int) (done int)

// wideQuickBF16 is quickBF16.
//
//go:noescape
func wideQuickBF16(w *byte, n int, s *float32, step int) (done int)
