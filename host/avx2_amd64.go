package host

// The assembly. Each function multiplies elements at w by float64 or float32 scales at s: by one scale
// (step 0) or by a scale an element (step 1). It works on whole blocks and stops in front of the first
// block it must not do, which is left as it was: done says how many elements are finished. vanished
// counts those that became zero though neither they nor their scale were.
//
// A block is plain when every product is finite. The exact functions (scaleF64 to scaleBF16) are the
// reference's arithmetic: widen, multiply in float64, round once. They do every plain block.

// scaleF64 is w[i] = w[i]·s[i] in blocks of 16.
//
//go:noescape
func scaleF64(w *byte, n int, s *float64, step int) (done, vanished int)

// scaleF32 is w[i] = float32(float64(w[i])·s[i]) in blocks of 32.
//
//go:noescape
func scaleF32(w *byte, n int, s *float64, step int) (done, vanished int)

// scaleF16 is w[i] = float16(float64(w[i])·s[i]) in blocks of 8. The processor narrows float64 to
// float16 only through float32, which rounds twice. So the product is first cut to 24 bits and, if
// anything was cut off, made odd ("round to odd"): that is never a tie of float16, and on the right
// side of every tie.
//
//go:noescape
func scaleF16(w *byte, n int, s *float64, step int) (done, vanished int)

// scaleBF16 is w[i] = bfloat16(float64(w[i])·s[i]) in blocks of 8, likewise. A product below 2^-126,
// where float32 has fewer bits, is rounded to a multiple of 2^-133 by adding and subtracting
// 1.5·2^(52-133).
//
//go:noescape
func scaleBF16(w *byte, n int, s *float64, step int) (done, vanished int)

// quickF16 does most blocks of 32 in float32. With every s[i] zero or a normal float32 number,
// p = w[i]·float32(s[i]), rounded to float32, is within a factor 1 ± 2.01·2^-24 of the true product, which
// therefore lies between p·(1 − 2^-22) and p·(1 + 2^-22), rounded too. If these two have the same nearest
// float16, so has the product. If not, about once in a thousand times, the block is left to scaleF16. Whether a float16
// of normal size is in doubt the product's bits say, as with quickBF16; the bounds are taken for the small ones only.
//
//go:noescape
func quickF16(w *byte, n int, s *float32, step int) (done, vanished int)

// quickBF16 does most blocks of 32 in float32. p as above is within 3 neighbours of the true product
// among the float32 numbers, subnormal ones too; the float32 numbers 4 below and 4 above it have the
// same nearest bfloat16, or the block is left to scaleBF16.
//
//go:noescape
func quickBF16(w *byte, n int, s *float32, step int) (done, vanished int)

// narrow is dst[i] = float32(src[i]) for n numbers, a multiple of 8. It reports whether quickF16 and
// quickBF16 may use them: each is zero, and was, or is a normal number.
//
//go:noescape
func narrow(dst *float32, src *float64, n int) bool

// spread64 makes inner vectors of each of n vectors of scales, lane by lane: lane l of the k-th is lane
// lanes[8k+l] of the source. See assembly.
//
//go:noescape
func spread64(dst, src *float64, n int, lanes *uint32, inner int)

// spread32 is spread64 for float32.
//
//go:noescape
func spread32(dst, src *float32, n int, lanes *uint32, inner int)
