package host

// The assembly for processors with AVX-512: vectors twice as wide, in blocks of 32. Each wide function does
// what the one named in its comment does, by a scale an element. The two beside it do that for runs of inner
// elements, each of one scale, of which s is that of the run that the first element is in:
//
//   - runs, for an inner of at least fewestInner; lanes is that element's lane in its run (see assembly), and up to
//     16 scales are read from that of a block's first run on;
//   - long, for an inner of at least 32; left is how many elements of that run there are from the first one on.

// wideF64 is scaleF64.
//
//go:noescape
func wideF64(w *byte, n int, s *float64) (done, vanished int)

//go:noescape
func runsF64(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longF64(w *byte, n int, s *float64, left, inner int) (done, vanished int)

// wideF32 is scaleF32.
//
//go:noescape
func wideF32(w *byte, n int, s *float64) (done, vanished int)

//go:noescape
func runsF32(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longF32(w *byte, n int, s *float64, left, inner int) (done, vanished int)

// wideF16 is scaleF16.
//
//go:noescape
func wideF16(w *byte, n int, s *float64) (done, vanished int)

//go:noescape
func runsF16(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longF16(w *byte, n int, s *float64, left, inner int) (done, vanished int)

// wideBF16 is scaleBF16; it stops at subnormal results, too.
//
//go:noescape
func wideBF16(w *byte, n int, s *float64) (done, vanished int)

//go:noescape
func runsBF16(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longBF16(w *byte, n int, s *float64, left, inner int) (done, vanished int)

// wideQuickF16 is quickF16.
//
//go:noescape
func wideQuickF16(w *byte, n int, s *float32) (done, vanished int)

//go:noescape
func runsQuickF16(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longQuickF16(w *byte, n int, s *float32, left, inner int) (done, vanished int)

// wideQuickBF16 is quickBF16.
//
//go:noescape
func wideQuickBF16(w *byte, n int, s *float32) (done, vanished int)

//go:noescape
func runsQuickBF16(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)

//go:noescape
func longQuickBF16(w *byte, n int, s *float32, left, inner int) (done, vanished int)

// wideNarrow is narrow.
//
//go:noescape
func wideNarrow(dst *float32, src *float64, n int) bool
