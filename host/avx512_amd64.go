package host

// The assembly for processors with AVX-512: vectors twice as wide, in blocks of 32. Each wide function does
// what the one named in its comment does. The runs function beside it does that for runs of inner elements, at
// least fewestInner, each of one scale: s is the scale of the run that the first element is in, lanes its lane in
// this run (see assembly). Up to 16 scales are read from that of a block's first run on.

// wideF64 is scaleF64.
//
//go:noescape
func wideF64(w *byte, n int, s *float64, step int) (done, vanished int)

//go:noescape
func runsF64(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

// wideF32 is scaleF32.
//
//go:noescape
func wideF32(w *byte, n int, s *float64, step int) (done, vanished int)

//go:noescape
func runsF32(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

// wideF16 is scaleF16.
//
//go:noescape
func wideF16(w *byte, n int, s *float64, step int) (done, vanished int)

//go:noescape
func runsF16(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

// wideBF16 is scaleBF16; it stops at subnormal results, too.
//
//go:noescape
func wideBF16(w *byte, n int, s *float64, step int) (done, vanished int)

//go:noescape
func runsBF16(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)

// wideQuickF16 is quickF16. Whether a float16 of normal size is in doubt it knows from the product's bits, as
// quickBF16 does; it takes quickF16's two bounds for the small ones only.
//
//go:noescape
func wideQuickF16(w *byte, n int, s *float32, step int) (done, vanished int)

//go:noescape
func runsQuickF16(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)

// wideQuickBF16 is quickBF16.
//
//go:noescape
func wideQuickBF16(w *byte, n int, s *float32, step int) (done, vanished int)

//go:noescape
func runsQuickBF16(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)
