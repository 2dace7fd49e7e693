#include "textflag.h"
#include "go_asm.h"

// These functions do only blocks without infinities, NaNs and, for the quick ones, doubt. The registers and the
// tests are as in avx2_amd64.s, but a block's scales are first brought to Z16 to Z19, wherever they are from.
// Nothing is read ahead: these processors do it better themselves.

DATA largest16<>+0(SB)/4, $0xf7fef7fe // twice: below 2·∞ − 1 of a float16
GLOBL largest16<>(SB), RODATA|NOPTR, $4
DATA normal16<>+0(SB)/4, $0xf7fff7ff // −(2·2^-14 + 1): what is no more than a float16's 2^-14 wraps around
GLOBL normal16<>(SB), RODATA|NOPTR, $4
DATA normals16<>+0(SB)/4, $0xeffdeffd // largest16 + normal16
GLOBL normals16<>(SB), RODATA|NOPTR, $4
DATA beforeTie<>+0(SB)/4, $0x1002 // 0x2000 − 0xffe
GLOBL beforeTie<>(SB), RODATA|NOPTR, $4
DATA notTie<>+0(SB)/4, $0x1ffc
GLOBL notTie<>(SB), RODATA|NOPTR, $4
DATA largestB16<>+0(SB)/4, $0xfefefefe
GLOBL largestB16<>(SB), RODATA|NOPTR, $4
DATA below<>+0(SB)/4, $0x3f7ffffc // 1 − 2^-22
GLOBL below<>(SB), RODATA|NOPTR, $4
DATA above<>+0(SB)/4, $0x3f800002 // 1 + 2^-22
GLOBL above<>(SB), RODATA|NOPTR, $4
DATA halfMinus4<>+0(SB)/4, $0x7ffc // half a unit of bfloat16, less 4 of float32
GLOBL halfMinus4<>(SB), RODATA|NOPTR, $4
DATA halfPlus4<>+0(SB)/4, $0x8004
GLOBL halfPlus4<>(SB), RODATA|NOPTR, $4
DATA upper16<>+0(SB)/4, $0xffff0000
GLOBL upper16<>(SB), RODATA|NOPTR, $4
DATA twice45<>+0(SB)/4, $0x29800000 // 2^-44
GLOBL twice45<>(SB), RODATA|NOPTR, $4

DATA cut29<>+0(SB)/8, $0x1fffffff // what a float64 has more than a float32
GLOBL cut29<>(SB), RODATA|NOPTR, $8
DATA bit29<>+0(SB)/8, $0x20000000
GLOBL bit29<>(SB), RODATA|NOPTR, $8
DATA half16<>+0(SB)/4, $0x7fff
GLOBL half16<>(SB), RODATA|NOPTR, $4
DATA one32<>+0(SB)/4, $1
GLOBL one32<>(SB), RODATA|NOPTR, $4

// The odd 16-bit words of two vectors: the upper halves of 32 numbers of 32 bits.
DATA odd<>+0(SB)/8, $0x0007000500030001
DATA odd<>+8(SB)/8, $0x000f000d000b0009
DATA odd<>+16(SB)/8, $0x0017001500130011
DATA odd<>+24(SB)/8, $0x001f001d001b0019
DATA odd<>+32(SB)/8, $0x0027002500230021
DATA odd<>+40(SB)/8, $0x002f002d002b0029
DATA odd<>+48(SB)/8, $0x0037003500330031
DATA odd<>+56(SB)/8, $0x003f003d003b0039
GLOBL odd<>(SB), RODATA|NOPTR, $64

// A function is made of a START, SCALES and END that belong together, and of steps of its own between them.

#define ARGUMENTS \
	MOVQ w+0(FP), DI  \
	MOVQ n+8(FP), CX  \
	MOVQ s+16(FP), BX \
	XORQ SI, SI       \
	XORQ R8, R8       \
	SHRQ $5, CX       \
	JZ   end

#define NEXT(BYTES) \
	ADDQ $BYTES, DI \
	ADDQ $32, SI    \
	DECQ CX         \
	JNZ  loop

#define END \
	VZEROUPPER                \
	MOVQ SI, done+40(FP)      \
	MOVQ R8, vanished+48(FP)  \
	RET

// A scale of float32 in two parts has the second a table behind the first.
#define SECOND (4*const_tableRoom)

// ---- a scale an element ----

// BX is at the end of the period, R9 from there to the block's scales, in bytes; R10 is less a period.

#define EACH(SHIFT) \
	ARGUMENTS                \
	MOVQ in+24(FP), R9       \
	MOVQ period+32(FP), R10  \
	SHLQ SHIFT, R9           \
	SHLQ SHIFT, R10          \
	ADDQ R10, BX             \
	NEGQ R10                 \
	ADDQ R10, R9

#define EACH64 EACH($3)
#define EACH32 EACH($2)

#define AROUND(BYTES) \
	ADDQ    $BYTES, R9       \
	LEAQ    (R9)(R10*1), AX  \
	CMOVQGE AX, R9

#define EACH64SCALES \
	VMOVUPD (BX)(R9*1), Z16    \
	VMOVUPD 64(BX)(R9*1), Z17  \
	VMOVUPD 128(BX)(R9*1), Z18 \
	VMOVUPD 192(BX)(R9*1), Z19 \
	AROUND(256)

#define EACH32SCALES \
	VMOVUPS (BX)(R9*1), Z16   \
	VMOVUPS 64(BX)(R9*1), Z17 \
	AROUND(128)

#define EACHSPLITSCALES \
	VMOVUPS (BX)(R9*1), Z16          \
	VMOVUPS 64(BX)(R9*1), Z17        \
	VMOVUPS SECOND(BX)(R9*1), Z18    \
	VMOVUPS SECOND+64(BX)(R9*1), Z19 \
	AROUND(128)

// ---- a scale a short run ----

// BX is at the scale of the run that the block begins in, R9 at the lane of its first element there. The lanes
// from R9 on choose the block's scales among those from BX on, and the lane behind them says how many runs
// further on the next block begins. R10 is inner·4; lanes and scales of float64 take two times four bytes.

#define RUNS \
	ARGUMENTS              \
	MOVQ lanes+24(FP), R9  \
	MOVQ inner+32(FP), R10 \
	SHLQ $2, R10

#define ONWARD(BYTES) \
	MOVL  BYTES(R9), AX  \
	LEAQ  (BX)(AX*4), BX \
	IMULQ R10, AX        \
	SUBQ  AX, R9         \
	ADDQ  $BYTES, R9

#define RUNS64SCALES \
	VMOVUPS   (BX), Z20     \
	VMOVDQU32 (R9), Z16     \
	VMOVDQU32 64(R9), Z17   \
	VMOVDQU32 128(R9), Z18  \
	VMOVDQU32 192(R9), Z19  \
	VPERMPS   Z20, Z16, Z16 \
	VPERMPS   Z20, Z17, Z17 \
	VPERMPS   Z20, Z18, Z18 \
	VPERMPS   Z20, Z19, Z19 \
	ONWARD(256)

#define RUNS32SCALES \
	VMOVUPS   (BX), Z20     \
	VMOVDQU32 (R9), Z16     \
	VMOVDQU32 64(R9), Z17   \
	VPERMPS   Z20, Z16, Z16 \
	VPERMPS   Z20, Z17, Z17 \
	ONWARD(128)

#define RUNSSPLITSCALES \
	VMOVUPS   (BX), Z20       \
	VMOVUPS   SECOND(BX), Z21 \
	VMOVDQU32 (R9), Z18       \
	VMOVDQU32 64(R9), Z19     \
	VPERMPS   Z20, Z18, Z16   \
	VPERMPS   Z20, Z19, Z17   \
	VPERMPS   Z21, Z18, Z18   \
	VPERMPS   Z21, Z19, Z19   \
	ONWARD(128)

// ---- a scale a long run ----

// A block is in one run or two. Z20 has the scale, at BX, of the run it begins in, R9 is how many of this run's
// elements are left, R10 is inner.

#define LONG \
	ARGUMENTS            \
	MOVQ left+24(FP), R9 \
	MOVQ inner+32(FP), R10

#define LONG64 \
	LONG \
	VBROADCASTSD (BX), Z20

#define LONG32 \
	LONG \
	VBROADCASTSS (BX), Z20

#define LONGSPLIT \
	LONG32 \
	VBROADCASTSS SECOND(BX), Z21

#define LONG64SCALES \
	VMOVAPD Z20, Z16 \
	VMOVAPD Z20, Z17 \
	VMOVAPD Z20, Z18 \
	VMOVAPD Z20, Z19 \
	SUBQ    $32, R9  \
	JLT     next     \
scaled:

#define LONG32SCALES \
	VMOVAPS Z20, Z16 \
	VMOVAPS Z20, Z17 \
	SUBQ    $32, R9  \
	JLT     next     \
scaled:

#define LONGSPLITSCALES \
	VMOVAPS Z20, Z16 \
	VMOVAPS Z20, Z17 \
	VMOVAPS Z21, Z18 \
	VMOVAPS Z21, Z19 \
	SUBQ    $32, R9  \
	JLT     next     \
scaled:

// K1 gets the block's elements that are in the next run: R9 is how many, less than zero.
#define NEXTRUN \
	LEAQ  32(R9), AX   \
	MOVL  $-1, R11     \
	SHLXL AX, R11, R11 \
	KMOVD R11, K1      \
	ADDQ  R10, R9

#define LONG64END \
	END                               \
next:                                     \
	NEXTRUN                           \
	ADDQ         $8, BX               \
	VBROADCASTSD (BX), Z20            \
	KSHIFTRD     $8, K1, K2           \
	KSHIFTRD     $16, K1, K3          \
	KSHIFTRD     $24, K1, K4          \
	VMOVAPD      Z20, K1, Z16         \
	VMOVAPD      Z20, K2, Z17         \
	VMOVAPD      Z20, K3, Z18         \
	VMOVAPD      Z20, K4, Z19         \
	JMP          scaled

#define LONG32END \
	END                               \
next:                                     \
	NEXTRUN                           \
	ADDQ         $4, BX               \
	VBROADCASTSS (BX), Z20            \
	KSHIFTRD     $16, K1, K2          \
	VMOVAPS      Z20, K1, Z16         \
	VMOVAPS      Z20, K2, Z17         \
	JMP          scaled

#define LONGSPLITEND \
	END                               \
next:                                     \
	NEXTRUN                           \
	ADDQ         $4, BX               \
	VBROADCASTSS (BX), Z20            \
	VBROADCASTSS SECOND(BX), Z21      \
	KSHIFTRD     $16, K1, K2          \
	VMOVAPS      Z20, K1, Z16         \
	VMOVAPS      Z20, K2, Z17         \
	VMOVAPS      Z21, K1, Z18         \
	VMOVAPS      Z21, K2, Z19         \
	JMP          scaled

// ---- zeros ----

// K gets the zeros among 32 float64, or float32. K5 to K7 are scratch.
#define ZEROS64(A, B, C, D, K) \
	VFPCLASSPDZ $6, A, K   \
	VFPCLASSPDZ $6, B, K5  \
	VFPCLASSPDZ $6, C, K6  \
	VFPCLASSPDZ $6, D, K7  \
	KUNPCKBW    K, K5, K   \
	KUNPCKBW    K6, K7, K6 \
	KUNPCKWD    K, K6, K

#define ZEROS32(A, B, K) \
	VFPCLASSPSZ $6, A, K  \
	VFPCLASSPSZ $6, B, K7 \
	KUNPCKWD    K, K7, K

// R8 grows by the zeros of K1, the results, that are not in K2, the weights, or K3, the scales.
#define COUNT \
	KORD    K2, K3, K2 \
	KANDND  K1, K2, K1 \
	KMOVD   K1, AX     \
	POPCNTL AX, AX     \
	ADDQ    AX, R8

// ---- float64 and float32 ----

#define WIDEF64(START, SCALES, END) \
	START                                       \
loop:                                               \
	SCALES                                      \
	VMULPD (DI), Z16, Z0                        \
	VMULPD 64(DI), Z17, Z1                      \
	VMULPD 128(DI), Z18, Z2                     \
	VMULPD 192(DI), Z19, Z3                     \
	VFPCLASSPDZ $0x9f, Z0, K1                   \ // NaN, zero, infinity
	VFPCLASSPDZ $0x9f, Z1, K2                   \
	VFPCLASSPDZ $0x9f, Z2, K3                   \
	VFPCLASSPDZ $0x9f, Z3, K4                   \
	KORB        K1, K2, K1                      \
	KORB        K3, K4, K3                      \
	KORTESTB    K1, K3                          \
	JNZ         special                         \
store:                                              \
	VMOVUPD Z0, (DI)                            \
	VMOVUPD Z1, 64(DI)                          \
	VMOVUPD Z2, 128(DI)                         \
	VMOVUPD Z3, 192(DI)                         \
	NEXT(256)                                   \
end:                                                \
	END                                         \
special:                                            \
	VFPCLASSPDZ $0x99, Z0, K1                   \ // NaN, infinity
	VFPCLASSPDZ $0x99, Z1, K2                   \
	VFPCLASSPDZ $0x99, Z2, K3                   \
	VFPCLASSPDZ $0x99, Z3, K4                   \
	KORB        K1, K2, K1                      \
	KORB        K3, K4, K3                      \
	KORTESTB    K1, K3                          \
	JNZ         end                             \
	ZEROS64(Z0, Z1, Z2, Z3, K1)                 \
	ZEROS64((DI), 64(DI), 128(DI), 192(DI), K2) \
	ZEROS64(Z16, Z17, Z18, Z19, K3)             \
	COUNT                                       \
	JMP store

// func wideF64(w *byte, n int, s *float64, in, period int) (done, vanished int)
TEXT ·wideF64(SB), NOSPLIT, $0-56
	WIDEF64(EACH64, EACH64SCALES, END)

// func runsF64(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)
TEXT ·runsF64(SB), NOSPLIT, $0-56
	WIDEF64(RUNS, RUNS64SCALES, END)

// func longF64(w *byte, n int, s *float64, left, inner int) (done, vanished int)
TEXT ·longF64(SB), NOSPLIT, $0-56
	WIDEF64(LONG64, LONG64SCALES, LONG64END)

#define WIDEF32(START, SCALES, END) \
	START                           \
loop:                                   \
	SCALES                          \
	VCVTPS2PD    (DI), Z0           \
	VCVTPS2PD    32(DI), Z1         \
	VCVTPS2PD    64(DI), Z2         \
	VCVTPS2PD    96(DI), Z3         \
	VMULPD       Z16, Z0, Z0        \
	VMULPD       Z17, Z1, Z1        \
	VMULPD       Z18, Z2, Z2        \
	VMULPD       Z19, Z3, Z3        \
	VCVTPD2PS    Z0, Y0             \
	VCVTPD2PS    Z1, Y1             \
	VCVTPD2PS    Z2, Y2             \
	VCVTPD2PS    Z3, Y3             \
	VINSERTF64X4 $1, Y1, Z0, Z0     \
	VINSERTF64X4 $1, Y3, Z2, Z1     \
	VFPCLASSPSZ  $0x9f, Z0, K1      \ // NaN, zero, infinity
	VFPCLASSPSZ  $0x9f, Z1, K2      \
	KORTESTW     K1, K2             \
	JNZ          special            \
store:                                  \
	VMOVUPS Z0, (DI)                \
	VMOVUPS Z1, 64(DI)              \
	NEXT(128)                       \
end:                                    \
	END                             \
special:                                \
	VFPCLASSPSZ $0x99, Z0, K1       \ // NaN, infinity
	VFPCLASSPSZ $0x99, Z1, K2       \
	KORTESTW    K1, K2              \
	JNZ         end                 \
	ZEROS32(Z0, Z1, K1)             \
	ZEROS32((DI), 64(DI), K2)       \
	ZEROS64(Z16, Z17, Z18, Z19, K3) \
	COUNT                           \
	JMP store

// func wideF32(w *byte, n int, s *float64, in, period int) (done, vanished int)
TEXT ·wideF32(SB), NOSPLIT, $0-56
	WIDEF32(EACH64, EACH64SCALES, END)

// func runsF32(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)
TEXT ·runsF32(SB), NOSPLIT, $0-56
	WIDEF32(RUNS, RUNS64SCALES, END)

// func longF32(w *byte, n int, s *float64, left, inner int) (done, vanished int)
TEXT ·longF32(SB), NOSPLIT, $0-56
	WIDEF32(LONG64, LONG64SCALES, LONG64END)

// Float32 without float64: with s = s1 + s2 + 2^-45·s, where s1 and s2 are float32, two sums enclose w·s:
//
//	t = round(w·s2)      r = round(w·s1 + t)      about w·s·(1 − 2^-45), rounded
//	e = 2^-44·r          q = round(w·s1 + t + e)  about w·s·(1 + 2^-45), rounded
//
// Their errors, and that of a product rounded to float64, are below 2^-46·|w·s| together, if |s| is 2^-80 or more
// (or s is zero: see ZEROPRODUCTS) and e is a normal number, so that t's last bit is small. If r = q this is the result.
#define QUICKF32(START, SCALES, END) \
	START                             \
	VBROADCASTSS twice45<>(SB), Z15   \
loop:                                     \
	SCALES                            \
	VMOVUPS     (DI), Z0              \
	VMOVUPS     64(DI), Z1            \
	VMULPS      Z18, Z0, Z2           \
	VMULPS      Z19, Z1, Z3           \
	VMOVAPS     Z0, Z4                \
	VMOVAPS     Z1, Z5                \
	VFMADD213PS Z2, Z16, Z4           \
	VFMADD213PS Z3, Z17, Z5           \
	VMULPS      Z15, Z4, Z6           \
	VMULPS      Z15, Z5, Z7           \
	VADDPS      Z6, Z2, Z2            \
	VADDPS      Z7, Z3, Z3            \
	VFMADD213PS Z2, Z16, Z0           \
	VFMADD213PS Z3, Z17, Z1           \
	VFPCLASSPSZ $0xbf, Z6, K1         \ // NaN, zero, infinity, subnormal
	VFPCLASSPSZ $0xbf, Z7, K2         \
	VCMPPS      $4, Z0, Z4, K3        \ // not equal
	VCMPPS      $4, Z1, Z5, K4        \
	KORW        K1, K3, K1            \
	KORW        K2, K4, K2            \
	KORTESTW    K1, K2                \
	JNZ         special               \
store:                                    \
	VMOVUPS Z0, (DI)                  \
	VMOVUPS Z1, 64(DI)                \
	NEXT(128)                         \
end:                                      \
	END                               \
special:                                  \
	ZEROPRODUCTS((DI), Z16, Z0, K1)   \
	ZEROPRODUCTS(64(DI), Z17, Z1, K2) \
	KORTESTW K1, K2                   \
	JNZ      end                      \
	JMP      store

// Where w or s is zero, R gets their product, with its sign, and K, which says what is in doubt, loses it, but for NaN.
#define ZEROPRODUCTS(W, S, R, K) \
	VFPCLASSPSZ $6, W, K5       \
	VFPCLASSPSZ $6, S, K6       \
	KORW        K5, K6, K5      \
	VMULPS      W, S, K5, R     \
	VFPCLASSPSZ $0x81, R, K6    \
	KANDNW      K, K5, K        \
	KORW        K6, K, K

// func wideQuickF32(w *byte, n int, s *float32, in, period int) (done, vanished int)
TEXT ·wideQuickF32(SB), NOSPLIT, $0-56
	QUICKF32(EACH32, EACHSPLITSCALES, END)

// func runsQuickF32(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)
TEXT ·runsQuickF32(SB), NOSPLIT, $0-56
	QUICKF32(RUNS, RUNSSPLITSCALES, END)

// func longQuickF32(w *byte, n int, s *float32, left, inner int) (done, vanished int)
TEXT ·longQuickF32(SB), NOSPLIT, $0-56
	QUICKF32(LONGSPLIT, LONGSPLITSCALES, LONGSPLITEND)

// ---- float16 and bfloat16 ----

// PRODUCTS leaves 32 results q in Z0, and in K1 those in doubt. CONSTANTS sets what it needs; Z14 and Z9, so that
// 2q + Z14 is above Z9 for every special q; and Z15, so that 2q is above it for infinity and NaN. Where a block has
// any of these AGAIN may clear up doubts, and SCALEZEROS sets K3.
#define HALF(START, CONSTANTS, SCALES, PRODUCTS, AGAIN, SCALEZEROS, END) \
	START                     \
	CONSTANTS                 \
loop:                             \
	SCALES                    \
	PRODUCTS                  \
	VPADDW    Z0, Z0, Z4      \
	VPADDW    Z14, Z4, Z5     \
	VPCMPUW   $6, Z9, Z5, K2  \ // greater
	KORTESTD  K1, K2          \
	JNZ       special         \
store:                            \
	VMOVDQU64 Z0, (DI)        \
	NEXT(64)                  \
end:                              \
	END                       \
special:                          \
	AGAIN                     \
	VPCMPUW   $6, Z15, Z4, K2 \
	KORTESTD  K1, K2          \
	JNZ       end             \
	VMOVDQU64 (DI), Z5        \
	VPADDW    Z5, Z5, Z5      \
	VPTESTNMW Z4, Z4, K1      \
	VPTESTNMW Z5, Z5, K2      \
	SCALEZEROS                \
	COUNT                     \
	JMP store

// Special are zeros, infinity and NaN.
#define ZEROSPECIAL(LARGEST) \
	VPTERNLOGD   $0xff, Z14, Z14, Z14 \ // −1
	VPBROADCASTD LARGEST<>(SB), Z9    \
	VMOVDQA64    Z9, Z15

#define NOTHING

// In float32.
#define QUICK(START, CONSTANTS, SCALES, PRODUCTS, AGAIN, END) \
	HALF(START, CONSTANTS, SCALES, PRODUCTS, AGAIN, ZEROS32(Z16, Z17, K3), END)

// Which products are in doubt avx2_amd64.s says.
#define QUICKF16CONSTANTS \
	VPBROADCASTD beforeTie<>(SB), Z13  \
	VPBROADCASTD notTie<>(SB), Z12     \
	VBROADCASTSS below<>(SB), Z11      \
	VBROADCASTSS above<>(SB), Z10      \
	VPBROADCASTD normal16<>(SB), Z14 \
	VPBROADCASTD normals16<>(SB), Z9   \
	VPBROADCASTD largest16<>(SB), Z15

#define QUICKF16PRODUCTS \
	VCVTPH2PS    (DI), Z0       \
	VCVTPH2PS    32(DI), Z1     \
	VMULPS       Z16, Z0, Z0    \
	VMULPS       Z17, Z1, Z1    \
	VPADDD       Z13, Z0, Z2    \
	VPADDD       Z13, Z1, Z3    \
	VPTESTNMD    Z12, Z2, K1    \
	VPTESTNMD    Z12, Z3, K2    \
	VCVTPS2PH    $0, Z0, Y0     \
	VCVTPS2PH    $0, Z1, Y1     \
	VINSERTI64X4 $1, Y1, Z0, Z0 \
	KORW         K1, K2, K1

// The bounds of quickF16, which hold for small results as well.
#define QUICKF16AGAIN \
	VCVTPH2PS    (DI), Z2       \
	VCVTPH2PS    32(DI), Z3     \
	VMULPS       Z16, Z2, Z2    \
	VMULPS       Z17, Z3, Z3    \
	VMULPS       Z11, Z2, Z5    \
	VMULPS       Z11, Z3, Z6    \
	VMULPS       Z10, Z2, Z2    \
	VMULPS       Z10, Z3, Z3    \
	VCVTPS2PH    $0, Z5, Y5     \
	VCVTPS2PH    $0, Z6, Y6     \
	VCVTPS2PH    $0, Z2, Y2     \
	VCVTPS2PH    $0, Z3, Y3     \
	VINSERTI64X4 $1, Y6, Z5, Z5 \
	VINSERTI64X4 $1, Y3, Z2, Z2 \
	VPCMPUW      $4, Z2, Z5, K1 // not equal

// func wideQuickF16(w *byte, n int, s *float32, in, period int) (done, vanished int)
TEXT ·wideQuickF16(SB), NOSPLIT, $0-56
	QUICK(EACH32, QUICKF16CONSTANTS, EACH32SCALES, QUICKF16PRODUCTS, QUICKF16AGAIN, END)

// func runsQuickF16(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)
TEXT ·runsQuickF16(SB), NOSPLIT, $0-56
	QUICK(RUNS, QUICKF16CONSTANTS, RUNS32SCALES, QUICKF16PRODUCTS, QUICKF16AGAIN, END)

// func longQuickF16(w *byte, n int, s *float32, left, inner int) (done, vanished int)
TEXT ·longQuickF16(SB), NOSPLIT, $0-56
	QUICK(LONG32, QUICKF16CONSTANTS, LONG32SCALES, QUICKF16PRODUCTS, QUICKF16AGAIN, LONG32END)

#define QUICKBF16CONSTANTS \
	ZEROSPECIAL(largestB16)                \
	VPBROADCASTD halfMinus4<>(SB), Z13 \
	VPBROADCASTD halfPlus4<>(SB), Z12  \
	VPBROADCASTD upper16<>(SB), Z11    \
	VMOVDQU64    odd<>(SB), Z10

#define QUICKBF16PRODUCTS \
	VPMOVZXWD (DI), Z0    \
	VPMOVZXWD 32(DI), Z1  \
	VPSLLD    $16, Z0, Z0 \
	VPSLLD    $16, Z1, Z1 \
	VMULPS    Z16, Z0, Z0 \
	VMULPS    Z17, Z1, Z1 \
	VPADDD    Z12, Z0, Z2 \
	VPADDD    Z12, Z1, Z3 \
	VPADDD    Z13, Z0, Z0 \
	VPADDD    Z13, Z1, Z1 \
	VPXORD    Z0, Z2, Z2  \
	VPXORD    Z1, Z3, Z3  \
	VPORD     Z2, Z3, Z2  \
	VPTESTMD  Z11, Z2, K1 \ // 16 bits, of which K2 has 32
	VPERMT2W  Z1, Z10, Z0

// func wideQuickBF16(w *byte, n int, s *float32, in, period int) (done, vanished int)
TEXT ·wideQuickBF16(SB), NOSPLIT, $0-56
	QUICK(EACH32, QUICKBF16CONSTANTS, EACH32SCALES, QUICKBF16PRODUCTS, NOTHING, END)

// func runsQuickBF16(w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int)
TEXT ·runsQuickBF16(SB), NOSPLIT, $0-56
	QUICK(RUNS, QUICKBF16CONSTANTS, RUNS32SCALES, QUICKBF16PRODUCTS, NOTHING, END)

// func longQuickBF16(w *byte, n int, s *float32, left, inner int) (done, vanished int)
TEXT ·longQuickBF16(SB), NOSPLIT, $0-56
	QUICK(LONG32, QUICKBF16CONSTANTS, LONG32SCALES, QUICKBF16PRODUCTS, NOTHING, LONG32END)

// In float64. LOAD widens eight weights to float32; NARROW makes 32 results in Z0 of the float32 in Z0 and Z1,
// and sets K1 where it cannot.
#define EXACT(START, LARGEST, CONSTANTS, SCALES, LOAD, NARROW, END) \
	HALF(START, EXACTCONSTANTS(LARGEST, CONSTANTS), SCALES, EXACTPRODUCTS(LOAD, NARROW), NOTHING, ZEROS64(Z16, Z17, Z18, Z19, K3), END)

#define EXACTCONSTANTS(LARGEST, CONSTANTS) \
	ZEROSPECIAL(LARGEST)             \
	VPBROADCASTQ cut29<>(SB), Z8 \
	VPBROADCASTQ bit29<>(SB), Z7 \
	CONSTANTS

#define EXACTPRODUCTS(LOAD, NARROW) \
	LOAD(0, Y0)                 \
	LOAD(16, Y1)                \
	LOAD(32, Y2)                \
	LOAD(48, Y3)                \
	ODD(Z16, Z0, Y0, K1)        \
	ODD(Z17, Z1, Y1, K2)        \
	ODD(Z18, Z2, Y2, K3)        \
	ODD(Z19, Z3, Y3, K4)        \
	VINSERTF64X4 $1, Y1, Z0, Z0 \
	VINSERTF64X4 $1, Y3, Z2, Z1 \
	NARROW

// Eight products of the float32 in Y by S, rounded to odd: what a float32 cannot hold is cut off, and if that
// was anything the last bit is set.
#define ODD(S, Z, Y, K) \
	VCVTPS2PD        Y, Z        \
	VMULPD           S, Z, Z     \
	VPTESTMQ         Z8, Z, K    \
	VPORQ            Z7, Z, K, Z \
	VCVTPD2PS.RZ_SAE Z, Y

#define NOCONSTANTS

#define LOADF16(OFF, Y) \
	VCVTPH2PS OFF(DI), Y

#define NARROWF16 \
	VCVTPS2PH    $0, Z0, Y0     \
	VCVTPS2PH    $0, Z1, Y1     \
	VINSERTI64X4 $1, Y1, Z0, Z0 \
	KXORD        K1, K1, K1

// func wideF16(w *byte, n int, s *float64, in, period int) (done, vanished int)
TEXT ·wideF16(SB), NOSPLIT, $0-56
	EXACT(EACH64, largest16, NOCONSTANTS, EACH64SCALES, LOADF16, NARROWF16, END)

// func runsF16(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)
TEXT ·runsF16(SB), NOSPLIT, $0-56
	EXACT(RUNS, largest16, NOCONSTANTS, RUNS64SCALES, LOADF16, NARROWF16, END)

// func longF16(w *byte, n int, s *float64, left, inner int) (done, vanished int)
TEXT ·longF16(SB), NOSPLIT, $0-56
	EXACT(LONG64, largest16, NOCONSTANTS, LONG64SCALES, LOADF16, NARROWF16, LONG64END)

#define BF16CONSTANTS \
	VPBROADCASTD half16<>(SB), Z13 \
	VPBROADCASTD one32<>(SB), Z12  \
	VMOVDQU64    odd<>(SB), Z10

#define LOADBF16(OFF, Y) \
	VPMOVZXWD OFF(DI), Y \
	VPSLLD    $16, Y, Y

// To nearest even: half a unit less one is added, and one more if the last bit kept is set. A subnormal
// number was not rounded to odd: float32 has fewer bits there.
#define NARROWBF16 \
	VFPCLASSPSZ $0x20, Z0, K1 \ // subnormal
	VFPCLASSPSZ $0x20, Z1, K2 \
	KORD        K1, K2, K1    \
	VPSRLD      $16, Z0, Z4   \
	VPSRLD      $16, Z1, Z5   \
	VPANDD      Z12, Z4, Z4   \
	VPANDD      Z12, Z5, Z5   \
	VPADDD      Z13, Z0, Z0   \
	VPADDD      Z13, Z1, Z1   \
	VPADDD      Z4, Z0, Z0    \
	VPADDD      Z5, Z1, Z1    \
	VPERMT2W    Z1, Z10, Z0

// func wideBF16(w *byte, n int, s *float64, in, period int) (done, vanished int)
TEXT ·wideBF16(SB), NOSPLIT, $0-56
	EXACT(EACH64, largestB16, BF16CONSTANTS, EACH64SCALES, LOADBF16, NARROWBF16, END)

// func runsBF16(w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int)
TEXT ·runsBF16(SB), NOSPLIT, $0-56
	EXACT(RUNS, largestB16, BF16CONSTANTS, RUNS64SCALES, LOADBF16, NARROWBF16, END)

// func longBF16(w *byte, n int, s *float64, left, inner int) (done, vanished int)
TEXT ·longBF16(SB), NOSPLIT, $0-56
	EXACT(LONG64, largestB16, BF16CONSTANTS, LONG64SCALES, LOADBF16, NARROWBF16, LONG64END)

// ---- scales ----

// FIT looks at float32 scales in Y1, of the float64 in Z0: K0 gets those that are not zero, and whose twofold bits are
// less than Y6, or Y6 + Y7 or more.
#define FIT \
	VPADDD      Y1, Y1, Y2  \
	VPSUBD      Y6, Y2, Y2  \
	VPCMPUD     $5, Y7, Y2, K1 \ // not below
	VFPCLASSPDZ $6, Z0, K2  \
	KANDNB      K1, K2, K1  \
	KORB        K1, K0, K0

// Normal numbers: 2^-126 or more, and finite.
DATA smallest<>+0(SB)/4, $0x01000000
GLOBL smallest<>(SB), RODATA|NOPTR, $4
DATA normals<>+0(SB)/4, $0xfe000000
GLOBL normals<>(SB), RODATA|NOPTR, $4

// func wideNarrow(dst *float32, src *float64, n int) bool
TEXT ·wideNarrow(SB), NOSPLIT, $0-25
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         n+16(FP), CX
	VPBROADCASTD smallest<>(SB), Y6
	VPBROADCASTD normals<>(SB), Y7
	KXORB        K0, K0, K0
	SHRQ         $3, CX
	JZ           end

loop:
	VMOVUPD   (SI), Z0
	VCVTPD2PS Z0, Y1
	VMOVUPS   Y1, (DI)
	FIT
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop

end:
	KORTESTB K0, K0
	SETEQ    ret+24(FP)
	VZEROUPPER
	RET

// 2^-80 or more, and less than 2^80.
DATA smallest80<>+0(SB)/4, $0x2f000000
GLOBL smallest80<>(SB), RODATA|NOPTR, $4
DATA around80<>+0(SB)/4, $0xa0000000
GLOBL around80<>(SB), RODATA|NOPTR, $4
DATA offset45<>+0(SB)/8, $0x3d20000000000000 // 2^-45
GLOBL offset45<>(SB), RODATA|NOPTR, $8

// func wideSplit(dst *float32, src *float64, n int) bool
TEXT ·wideSplit(SB), NOSPLIT, $0-25
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         n+16(FP), CX
	VPBROADCASTD smallest80<>(SB), Y6
	VPBROADCASTD around80<>(SB), Y7
	VBROADCASTSD offset45<>(SB), Z5
	KXORB        K0, K0, K0
	SHRQ         $3, CX
	JZ           end

loop:
	VMOVUPD      (SI), Z0
	VCVTPD2PS    Z0, Y1
	VMOVUPS      Y1, (DI)
	VCVTPS2PD    Y1, Z3
	VSUBPD       Z3, Z0, Z3
	VFNMADD231PD Z5, Z0, Z3
	VCVTPD2PS    Z3, Y3
	VMOVUPS      Y3, SECOND(DI)
	FIT
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop

end:
	KORTESTB K0, K0
	SETEQ    ret+24(FP)
	VZEROUPPER
	RET
