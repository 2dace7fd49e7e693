#include "textflag.h"

// Every function keeps: DI the weights, BX the scales, DX the scales' bytes a block (0 for one scale),
// CX the blocks left, SI the elements done, R8 the weights vanished.
//
// A block's results are first tested all at once: u = 2q − 1, as unsigned integers, is at its largest for
// zeros, then NaN, then infinity. Only a block with one of these is looked at more closely.

// The data is read this far ahead: past the 4096-byte page, where the processor's own prefetcher stops.
#define AHEAD 4096

DATA special32<>+0(SB)/4, $0xfeffffff // 2·∞ − 1 of a float32: as large as the special results
GLOBL special32<>(SB), RODATA|NOPTR, $4
DATA twiceInf32<>+0(SB)/4, $0xff000000
GLOBL twiceInf32<>(SB), RODATA|NOPTR, $4
DATA largest16<>+0(SB)/2, $0xf7fe // below 2·∞ − 1 of a float16, above 2·65504 − 1
GLOBL largest16<>(SB), RODATA|NOPTR, $2
DATA largestB16<>+0(SB)/2, $0xfefe // the same of a bfloat16
GLOBL largestB16<>(SB), RODATA|NOPTR, $2
DATA minus1<>+0(SB)/2, $0xffff
GLOBL minus1<>(SB), RODATA|NOPTR, $2
DATA normal16<>+0(SB)/2, $0xf7ff // −(2·2^-14 + 1): what is no more than a float16's 2^-14 wraps around
GLOBL normal16<>(SB), RODATA|NOPTR, $2
DATA normals16<>+0(SB)/2, $0xeffd // largest16 + normal16
GLOBL normals16<>(SB), RODATA|NOPTR, $2
DATA beforeTie<>+0(SB)/4, $0x1002 // 0x2000 − 0xffe
GLOBL beforeTie<>(SB), RODATA|NOPTR, $4
DATA notTie<>+0(SB)/4, $0x1ffc
GLOBL notTie<>(SB), RODATA|NOPTR, $4
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
DATA cut29<>+0(SB)/8, $0x1fffffff // what a float64 has more than a float32
GLOBL cut29<>(SB), RODATA|NOPTR, $8
DATA abs64<>+0(SB)/8, $0x7fffffffffffffff
GLOBL abs64<>(SB), RODATA|NOPTR, $8
DATA abs32<>+0(SB)/4, $0x7fffffff
GLOBL abs32<>(SB), RODATA|NOPTR, $4
DATA normal64<>+0(SB)/8, $0x3810000000000000 // 2^-126
GLOBL normal64<>(SB), RODATA|NOPTR, $8
DATA magic64<>+0(SB)/8, $0x3ae8000000000000 // 1.5·2^(52-133)
GLOBL magic64<>(SB), RODATA|NOPTR, $8
DATA normal32<>+0(SB)/4, $0x00800000 // 2^-126
GLOBL normal32<>(SB), RODATA|NOPTR, $4
DATA inf32<>+0(SB)/4, $0x7f800000
GLOBL inf32<>(SB), RODATA|NOPTR, $4
DATA half16<>+0(SB)/4, $0x7fff
GLOBL half16<>(SB), RODATA|NOPTR, $4

// ---- float64 ----

// func scaleF64(w *byte, n int, s *float64, step int) (done, vanished int)
TEXT ·scaleF64(SB), 0, $128-48
	MOVQ w+0(FP), DI
	MOVQ n+8(FP), CX
	MOVQ s+16(FP), BX
	MOVQ step+24(FP), DX
	XORQ SI, SI
	XORQ R8, R8
	SHRQ $4, CX
	JZ   end
	SHLQ $7, DX
	JNZ  start

	VBROADCASTSD (BX), Y0
	VMOVUPD      Y0, same-128(SP)
	VMOVUPD      Y0, same-96(SP)
	VMOVUPD      Y0, same-64(SP)
	VMOVUPD      Y0, same-32(SP)
	LEAQ         same-128(SP), BX

start:
	VXORPD Y15, Y15, Y15

loop:
	PREFETCHT0 AHEAD(DI)
	PREFETCHT0 (AHEAD+64)(DI)
	VMOVUPD    (DI), Y0
	VMOVUPD    32(DI), Y1
	VMOVUPD    64(DI), Y2
	VMOVUPD    96(DI), Y3
	VMULPD     (BX), Y0, Y4
	VMULPD     32(BX), Y1, Y5
	VMULPD     64(BX), Y2, Y6
	VMULPD     96(BX), Y3, Y7

	// q·0 is 0, or NaN for an infinite or NaN q, and stays so in the sum.
	VMULPD       Y15, Y4, Y8
	VFMADD231PD  Y15, Y5, Y8
	VFMADD231PD  Y15, Y6, Y8
	VFMADD231PD  Y15, Y7, Y8
	VCMPPD       $3, Y8, Y8, Y8    // unordered
	VMOVMSKPD    Y8, AX
	TESTL        AX, AX
	JNZ          end

	VCMPPD    $0, Y15, Y4, Y8
	VCMPPD    $0, Y15, Y5, Y9
	VCMPPD    $0, Y15, Y6, Y10
	VCMPPD    $0, Y15, Y7, Y11
	VORPD     Y8, Y9, Y12
	VORPD     Y10, Y11, Y13
	VORPD     Y12, Y13, Y12
	VMOVMSKPD Y12, AX
	TESTL     AX, AX
	JNZ       special

store:
	VMOVUPD Y4, (DI)
	VMOVUPD Y5, 32(DI)
	VMOVUPD Y6, 64(DI)
	VMOVUPD Y7, 96(DI)
	ADDQ    $128, DI
	ADDQ    DX, BX
	ADDQ    $16, SI
	DECQ    CX
	JNZ     loop

end:
	VZEROUPPER
	MOVQ SI, done+32(FP)
	MOVQ R8, vanished+40(FP)
	RET

// A zero counts when its weight and its scale are not zero.
#define COUNT64(W, S, ZERO) \
	VCMPPD    $4, Y15, W, Y12  \ // not equal
	VANDPD    Y12, ZERO, ZERO  \
	VMOVUPD   S, Y12           \
	VCMPPD    $4, Y15, Y12, Y12 \
	VANDPD    Y12, ZERO, ZERO  \
	VMOVMSKPD ZERO, AX         \
	POPCNTL   AX, AX           \
	ADDQ      AX, R8

special:
	COUNT64(Y0, (BX), Y8)
	COUNT64(Y1, 32(BX), Y9)
	COUNT64(Y2, 64(BX), Y10)
	COUNT64(Y3, 96(BX), Y11)
	JMP store

// ---- float32 ----

// Eight float32 at OFF(DI), whose scales are at 2·OFF(BX), into OUT.
#define PRODUCT32(OFF, OUT, XOUT, T, XT) \
	VCVTPS2PD   OFF(DI), OUT          \
	VCVTPS2PD   (OFF+16)(DI), T       \
	VMULPD      (2*OFF)(BX), OUT, OUT \
	VMULPD      (2*OFF+32)(BX), T, T  \
	VCVTPD2PSY  OUT, XOUT             \
	VCVTPD2PSY  T, XT                 \
	VINSERTF128 $1, XT, OUT, OUT

// R8 grows by the zeros among the eight results Q, whose weights are at OFF(DI) and whose scales at
// 2·OFF(BX), where neither of these is zero.
#define COUNT32(OFF, Q) \
	VCMPPS    $0, Y15, Q, Y4      \ // equal
	VMOVUPS   OFF(DI), Y5         \
	VCMPPS    $4, Y15, Y5, Y5     \ // not equal
	VANDPS    Y5, Y4, Y4          \
	VMOVMSKPS Y4, AX              \
	VMOVUPD   (2*OFF)(BX), Y4     \
	VMOVUPD   (2*OFF+32)(BX), Y5  \
	VCMPPD    $4, Y15, Y4, Y4     \
	VCMPPD    $4, Y15, Y5, Y5     \
	VMOVMSKPD Y4, R9              \
	VMOVMSKPD Y5, R10             \
	SHLL      $4, R10             \
	ORL       R10, R9             \
	ANDL      R9, AX              \
	POPCNTL   AX, AX              \
	ADDQ      AX, R8

// func scaleF32(w *byte, n int, s *float64, step int) (done, vanished int)
TEXT ·scaleF32(SB), 0, $256-48
	MOVQ w+0(FP), DI
	MOVQ n+8(FP), CX
	MOVQ s+16(FP), BX
	MOVQ step+24(FP), DX
	XORQ SI, SI
	XORQ R8, R8
	SHRQ $5, CX
	JZ   end
	SHLQ $8, DX
	JNZ  start

	VBROADCASTSD (BX), Y0
	VMOVUPD      Y0, same-256(SP)
	VMOVUPD      Y0, same-224(SP)
	VMOVUPD      Y0, same-192(SP)
	VMOVUPD      Y0, same-160(SP)
	VMOVUPD      Y0, same-128(SP)
	VMOVUPD      Y0, same-96(SP)
	VMOVUPD      Y0, same-64(SP)
	VMOVUPD      Y0, same-32(SP)
	LEAQ         same-256(SP), BX

start:
	VXORPS       Y15, Y15, Y15
	VPCMPEQD     Y14, Y14, Y14 // −1
	VPBROADCASTD special32<>(SB), Y13
	VPBROADCASTD twiceInf32<>(SB), Y12

loop:
	PREFETCHT0 AHEAD(DI)
	PREFETCHT0 (AHEAD+64)(DI)
	PRODUCT32(0, Y0, X0, Y4, X4)
	PRODUCT32(32, Y1, X1, Y5, X5)
	PRODUCT32(64, Y2, X2, Y6, X6)
	PRODUCT32(96, Y3, X3, Y7, X7)

	VPADDD    Y0, Y0, Y4
	VPADDD    Y1, Y1, Y5
	VPADDD    Y2, Y2, Y6
	VPADDD    Y3, Y3, Y7
	VPADDD    Y14, Y4, Y8
	VPADDD    Y14, Y5, Y9
	VPADDD    Y14, Y6, Y10
	VPADDD    Y14, Y7, Y11
	VPMAXUD   Y8, Y9, Y8
	VPMAXUD   Y10, Y11, Y10
	VPMAXUD   Y8, Y10, Y8
	VPMAXUD   Y8, Y13, Y9
	VPCMPEQD  Y8, Y9, Y9
	VMOVMSKPS Y9, AX
	TESTL     AX, AX
	JNZ       special

store:
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ    $128, DI
	ADDQ    DX, BX
	ADDQ    $32, SI
	DECQ    CX
	JNZ     loop

end:
	VZEROUPPER
	MOVQ SI, done+32(FP)
	MOVQ R8, vanished+40(FP)
	RET

special:
	VPMAXUD   Y4, Y5, Y4
	VPMAXUD   Y6, Y7, Y6
	VPMAXUD   Y4, Y6, Y4
	VPMAXUD   Y4, Y12, Y5
	VPCMPEQD  Y4, Y5, Y5
	VMOVMSKPS Y5, AX
	TESTL     AX, AX
	JNZ       end

	COUNT32(0, Y0)
	COUNT32(32, Y1)
	COUNT32(64, Y2)
	COUNT32(96, Y3)
	JMP       store

// ---- float16 and bfloat16 in float32 ----

// R8 grows by the zeros among the sixteen results Q, whose weights are at OFF(DI) and whose scales at
// 2·OFF(BX), where neither of these is zero.
#define COUNT16(OFF, Q) \
	VPADDW    Q, Q, Y4           \
	VPCMPEQW  Y15, Y4, Y4        \
	VMOVDQU   OFF(DI), Y5        \
	VPADDW    Y5, Y5, Y5         \
	VPCMPEQW  Y15, Y5, Y5        \
	VPANDN    Y4, Y5, Y4         \
	VMOVUPS   (2*OFF)(BX), Y5    \
	VMOVUPS   (2*OFF+32)(BX), Y6 \
	VCMPPS    $0, Y15, Y5, Y5    \
	VCMPPS    $0, Y15, Y6, Y6    \
	VPACKSSDW Y6, Y5, Y5         \
	VPERMQ    $0xd8, Y5, Y5      \
	VPANDN    Y4, Y5, Y4         \
	VPMOVMSKB Y4, AX             \
	POPCNTL   AX, AX             \
	SHRL      $1, AX             \
	ADDQ      AX, R8

// A quick function. PRODUCTS leaves 32 results q in Y0 and Y1, and in Y2 what is not zero where they are in doubt.
// CONSTANTS sets what it needs, Y13 to Y10; and Y14 and Y9, so that 2q + Y14 is above Y9 for every special q. Where a
// block has any of these AGAIN may clear up doubts.
#define QUICK(LARGEST, CONSTANTS, PRODUCTS, AGAIN) \
	MOVQ w+0(FP), DI               \
	MOVQ n+8(FP), CX               \
	MOVQ s+16(FP), BX              \
	MOVQ step+24(FP), DX           \
	XORQ SI, SI                    \
	XORQ R8, R8                    \
	SHRQ $5, CX                    \
	JZ   end                       \
	SHLQ $7, DX                    \
	JNZ  start                     \
	VBROADCASTSS (BX), Y0          \
	VMOVUPS      Y0, same-128(SP)  \
	VMOVUPS      Y0, same-96(SP)   \
	VMOVUPS      Y0, same-64(SP)   \
	VMOVUPS      Y0, same-32(SP)   \
	LEAQ         same-128(SP), BX  \
start:                                 \
	VPXOR        Y15, Y15, Y15     \
	CONSTANTS                      \
loop:                                  \
	PREFETCHT0 AHEAD(DI)           \
	PRODUCTS                       \
	VPADDW   Y0, Y0, Y4            \
	VPADDW   Y1, Y1, Y5            \
	VPADDW   Y14, Y4, Y6           \
	VPADDW   Y14, Y5, Y7           \
	VPMAXUW  Y6, Y7, Y6            \
	VPSUBUSW Y9, Y6, Y6            \
	VPOR     Y2, Y6, Y6            \
	VPTEST   Y6, Y6                \
	JNZ      special               \
store:                                 \
	VMOVDQU Y0, (DI)               \
	VMOVDQU Y1, 32(DI)             \
	ADDQ    $64, DI                \
	ADDQ    DX, BX                 \
	ADDQ    $32, SI                \
	DECQ    CX                     \
	JNZ     loop                   \
end:                                   \
	VZEROUPPER                     \
	MOVQ SI, done+32(FP)           \
	MOVQ R8, vanished+40(FP)       \
	RET                            \
special:                               \
	AGAIN                          \
	VPBROADCASTW LARGEST<>(SB), Y6 \
	VPADDW       Y0, Y0, Y4        \
	VPADDW       Y1, Y1, Y5        \
	VPMAXUW      Y4, Y5, Y4        \
	VPSUBUSW     Y6, Y4, Y4        \
	VPOR         Y2, Y4, Y4        \
	VPTEST       Y4, Y4            \
	JNZ          end               \
	COUNT16(0, Y0)                 \
	COUNT16(32, Y1)                \
	JMP      store

#define NOTHING

// A product is in doubt where its last 13 bits, those a float16 does not have, are 0x1000, a tie, or one more or up to
// two less: the scale's rounding and the product's are each less than 2^-24 of it, so together less than two units of
// its last place. Below 2^-14 a float16 has fewer bits, so results up to that are special too.
#define F16CONSTANTS \
	VPBROADCASTD beforeTie<>(SB), Y13 \
	VPBROADCASTD notTie<>(SB), Y12    \
	VBROADCASTSS below<>(SB), Y11     \
	VBROADCASTSS above<>(SB), Y10     \
	VPBROADCASTW normal16<>(SB), Y14  \
	VPBROADCASTW normals16<>(SB), Y9

// Eight products; T is zero for those in doubt.
#define F16PRODUCT8(OFF, P, XP, T) \
	VCVTPH2PS OFF(DI), P        \
	VMULPS    (2*OFF)(BX), P, P \
	VPADDD    Y13, P, T         \
	VPAND     Y12, T, T         \
	VCVTPS2PH $0, P, XP

#define F16PRODUCTS \
	F16PRODUCT8(0, Y0, X0, Y4)  \
	F16PRODUCT8(16, Y1, X1, Y5) \
	F16PRODUCT8(32, Y2, X2, Y6) \
	F16PRODUCT8(48, Y3, X3, Y7) \
	VINSERTI128 $1, X1, Y0, Y0  \
	VINSERTI128 $1, X3, Y2, Y1  \
	VPMINUD     Y4, Y5, Y4      \
	VPMINUD     Y6, Y7, Y6      \
	VPMINUD     Y4, Y6, Y2      \
	VPCMPEQD    Y15, Y2, Y2

// Eight products: the nearest float16 of the lower and of the upper bound, which hold for small results as well.
#define F16BOUNDS(OFF, LOW, XLOW, HIGH, XHIGH) \
	VCVTPH2PS OFF(DI), LOW          \
	VMULPS    (2*OFF)(BX), LOW, LOW \
	VMULPS    Y10, LOW, HIGH        \
	VMULPS    Y11, LOW, LOW         \
	VCVTPS2PH $0, LOW, XLOW         \
	VCVTPS2PH $0, HIGH, XHIGH

#define F16AGAIN \
	F16BOUNDS(0, Y0, X0, Y4, X4)    \
	F16BOUNDS(16, Y1, X1, Y5, X5)   \
	F16BOUNDS(32, Y2, X2, Y6, X6)   \
	F16BOUNDS(48, Y3, X3, Y7, X7)   \
	VINSERTI128 $1, X1, Y0, Y0      \
	VINSERTI128 $1, X3, Y2, Y1      \
	VINSERTI128 $1, X5, Y4, Y2      \
	VINSERTI128 $1, X7, Y6, Y3      \
	VPXOR       Y0, Y2, Y2          \
	VPXOR       Y1, Y3, Y3          \
	VPOR        Y2, Y3, Y2

// func quickF16(w *byte, n int, s *float32, step int) (done, vanished int)
TEXT ·quickF16(SB), 0, $128-48
	QUICK(largest16, F16CONSTANTS, F16PRODUCTS, F16AGAIN)

#define BF16CONSTANTS \
	VPBROADCASTD halfMinus4<>(SB), Y13 \
	VPBROADCASTD halfPlus4<>(SB), Y12  \
	VPBROADCASTD upper16<>(SB), Y10    \
	VPBROADCASTW minus1<>(SB), Y14     \ // special are zeros, infinity and NaN
	VPBROADCASTW largestB16<>(SB), Y9

// Eight products: half a unit of bfloat16 added to the neighbours 4 below and 4 above; the upper halves
// of LOW, and of HIGH what is not the same in both.
#define BF16BOUNDS(OFF, LOW, HIGH) \
	VPMOVZXWD OFF(DI), LOW          \
	VPSLLD    $16, LOW, LOW         \
	VMULPS    (2*OFF)(BX), LOW, LOW \
	VPADDD    Y12, LOW, HIGH        \
	VPADDD    Y13, LOW, LOW         \
	VPXOR     LOW, HIGH, HIGH       \
	VPSRLD    $16, LOW, LOW

#define BF16PRODUCTS \
	BF16BOUNDS(0, Y0, Y4)       \
	BF16BOUNDS(16, Y1, Y5)      \
	BF16BOUNDS(32, Y2, Y6)      \
	BF16BOUNDS(48, Y3, Y7)      \
	VPACKUSDW  Y1, Y0, Y0       \
	VPACKUSDW  Y3, Y2, Y1       \
	VPERMQ     $0xd8, Y0, Y0    \
	VPERMQ     $0xd8, Y1, Y1    \
	VPOR       Y4, Y5, Y4       \
	VPOR       Y6, Y7, Y6       \
	VPOR       Y4, Y6, Y2       \
	VPAND      Y10, Y2, Y2

// func quickBF16(w *byte, n int, s *float32, step int) (done, vanished int)
TEXT ·quickBF16(SB), 0, $128-48
	QUICK(largestB16, BF16CONSTANTS, BF16PRODUCTS, NOTHING)

// ---- float16 and bfloat16 in float64 ----

#define SPREAD8 \
	VBROADCASTSD (BX), Y0         \
	VMOVUPD      Y0, same-64(SP)  \
	VMOVUPD      Y0, same-32(SP)  \
	LEAQ         same-64(SP), BX

// Eight float32 in Y0 times eight scales, as float64 in Y2 and Y3.
#define PRODUCT8 \
	VEXTRACTF128 $1, Y0, X1        \
	VCVTPS2PD    X0, Y2            \
	VCVTPS2PD    X1, Y3            \
	VMULPD       (BX), Y2, Y2      \
	VMULPD       32(BX), Y3, Y3

// D is cut to 24 bits and made odd if that lost anything. Y14 is what is cut.
#define ODD(D, T) \
	VPAND  Y14, D, T   \
	VPADDQ Y14, T, T   \ // carries into bit 29 unless T is zero
	VPOR   T, D, D     \
	VPANDN D, Y14, D

#define JOIN8 \
	VCVTPD2PSY  Y2, X2            \
	VCVTPD2PSY  Y3, X3            \
	VINSERTF128 $1, X3, Y2, Y2

// AX gets the zeros among the eight results X4, whose weights are at (DI), where neither the weight nor
// the scale is zero.
#define COUNT8 \
	VPADDW    X4, X4, X5            \
	VPCMPEQW  X15, X5, X5           \
	VMOVDQU   (DI), X6              \
	VPADDW    X6, X6, X6            \
	VPCMPEQW  X15, X6, X6           \
	VPANDN    X5, X6, X5            \
	VPACKSSWB X5, X5, X5            \
	VPMOVMSKB X5, AX                \
	ANDL      $0xff, AX             \
	VMOVUPD   (BX), Y5              \
	VMOVUPD   32(BX), Y6            \
	VCMPPD    $4, Y15, Y5, Y5       \
	VCMPPD    $4, Y15, Y6, Y6       \
	VMOVMSKPD Y5, R9                \
	VMOVMSKPD Y6, R10               \
	SHLL      $4, R10               \
	ORL       R10, R9               \
	ANDL      R9, AX                \
	POPCNTL   AX, AX                \
	ADDQ      AX, R8

// func scaleF16(w *byte, n int, s *float64, step int) (done, vanished int)
TEXT ·scaleF16(SB), 0, $64-48
	MOVQ w+0(FP), DI
	MOVQ n+8(FP), CX
	MOVQ s+16(FP), BX
	MOVQ step+24(FP), DX
	XORQ SI, SI
	XORQ R8, R8
	SHRQ $3, CX
	JZ   end
	SHLQ $6, DX
	JNZ  start
	SPREAD8

start:
	VPXOR        Y15, Y15, Y15
	VPBROADCASTQ cut29<>(SB), Y14
	VPBROADCASTW largest16<>(SB), X13

loop:
	VCVTPH2PS (DI), Y0
	PRODUCT8
	ODD(Y2, Y4)
	ODD(Y3, Y5)
	JOIN8
	VCVTPS2PH $0, Y2, X4
	VPADDW    X4, X4, X5
	VPCMPEQW  X3, X3, X3      // −1
	VPADDW    X3, X5, X6
	VPSUBUSW  X13, X6, X6
	VPTEST    X6, X6
	JNZ       special

store:
	VMOVDQU   X4, (DI)
	ADDQ      $16, DI
	ADDQ      DX, BX
	ADDQ      $8, SI
	DECQ      CX
	JNZ       loop

end:
	VZEROUPPER
	MOVQ SI, done+32(FP)
	MOVQ R8, vanished+40(FP)
	RET

special:
	VPSUBUSW X13, X5, X5
	VPTEST   X5, X5
	JNZ      end
	COUNT8
	JMP      store

// SMALL gets the sign where D is below 2^-126, R the multiple of 2^-133 nearest to D, with D's sign. Y12 is
// 2^-126, Y11 the magic number, Y10 all bits but the sign.
#define SUBNORMAL(D, SMALL, R) \
	VANDPD    Y10, D, R             \
	VCMPPD    $1, Y12, R, SMALL     \ // less than
	VADDPD    Y11, D, R             \
	VSUBPD    Y11, R, R             \
	VANDPD    Y10, R, R             \
	VANDNPD   D, Y10, Y9            \
	VORPD     Y9, R, R

// func scaleBF16(w *byte, n int, s *float64, step int) (done, vanished int)
TEXT ·scaleBF16(SB), 0, $64-48
	MOVQ w+0(FP), DI
	MOVQ n+8(FP), CX
	MOVQ s+16(FP), BX
	MOVQ step+24(FP), DX
	XORQ SI, SI
	XORQ R8, R8
	SHRQ $3, CX
	JZ   end
	SHLQ $6, DX
	JNZ  start
	SPREAD8

start:
	VPXOR        Y15, Y15, Y15
	VPBROADCASTQ cut29<>(SB), Y14
	VPBROADCASTW largestB16<>(SB), X13
	VBROADCASTSD normal64<>(SB), Y12
	VBROADCASTSD magic64<>(SB), Y11
	VBROADCASTSD abs64<>(SB), Y10

loop:
	VPMOVZXWD (DI), Y0
	VPSLLD    $16, Y0, Y0
	PRODUCT8
	VANDPD    Y10, Y2, Y4
	VANDPD    Y10, Y3, Y5
	VMINPD    Y4, Y5, Y4
	VCMPPD    $1, Y12, Y4, Y4 // less than
	VMOVMSKPD Y4, AX
	TESTL     AX, AX
	JNZ       small
	ODD(Y2, Y4)
	ODD(Y3, Y5)

join:
	JOIN8

	// To nearest even: add half a unit less one, and one more if the last bit kept is set.
	VPSLLD       $15, Y2, Y3
	VPSRLD       $31, Y3, Y3
	VPBROADCASTD half16<>(SB), Y4
	VPADDD       Y4, Y3, Y3
	VPADDD       Y3, Y2, Y2
	VPSRLD       $16, Y2, Y2
	VEXTRACTI128 $1, Y2, X3
	VPACKUSDW    X3, X2, X4

	VPADDW   X4, X4, X5
	VPCMPEQW X3, X3, X3      // −1
	VPADDW   X3, X5, X6
	VPSUBUSW X13, X6, X6
	VPTEST   X6, X6
	JNZ      special

store:
	VMOVDQU X4, (DI)
	ADDQ    $16, DI
	ADDQ    DX, BX
	ADDQ    $8, SI
	DECQ    CX
	JNZ     loop

end:
	VZEROUPPER
	MOVQ SI, done+32(FP)
	MOVQ R8, vanished+40(FP)
	RET

small:
	SUBNORMAL(Y2, Y5, Y4)
	SUBNORMAL(Y3, Y7, Y6)
	ODD(Y2, Y8)
	ODD(Y3, Y8)
	VBLENDVPD Y5, Y4, Y2, Y2
	VBLENDVPD Y7, Y6, Y3, Y3
	JMP       join

special:
	VPSUBUSW X13, X5, X5
	VPTEST   X5, X5
	JNZ      end
	COUNT8
	JMP      store

// ---- scales ----

// func narrow(dst *float32, src *float64, n int) bool
TEXT ·narrow(SB), NOSPLIT, $0-25
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         n+16(FP), CX
	VXORPD       Y15, Y15, Y15
	VPCMPEQD     Y14, Y14, Y14         // fit so far
	VBROADCASTSS abs32<>(SB), Y13
	VBROADCASTSS normal32<>(SB), Y12
	VBROADCASTSS inf32<>(SB), Y11
	SHRQ         $3, CX
	JZ           end

loop:
	VMOVUPD     (SI), Y0
	VMOVUPD     32(SI), Y1
	VCVTPD2PSY  Y0, X2
	VCVTPD2PSY  Y1, X3
	VINSERTF128 $1, X3, Y2, Y2
	VMOVUPS     Y2, (DI)

	VANDPS   Y13, Y2, Y2
	VCMPPS   $13, Y12, Y2, Y3          // not below the smallest normal number
	VCMPPS   $1, Y11, Y2, Y4           // below infinity
	VANDPS   Y3, Y4, Y3
	VCMPPD   $0, Y15, Y0, Y0           // or zero
	VCMPPD   $0, Y15, Y1, Y1
	VSHUFPS  $0x88, Y1, Y0, Y0
	VPERMPD  $0xd8, Y0, Y0
	VORPS    Y0, Y3, Y3
	VANDPS   Y3, Y14, Y14
	ADDQ     $64, SI
	ADDQ     $32, DI
	DECQ     CX
	JNZ      loop

end:
	VMOVMSKPS Y14, AX
	CMPL      AX, $0xff
	SETEQ     ret+24(FP)
	VZEROUPPER
	RET

// func spread64(dst, src *float64, n int, lanes *uint32, inner int)
TEXT ·spread64(SB), NOSPLIT, $0-40
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	MOVQ  lanes+24(FP), BX
	MOVQ  inner+32(FP), DX
	TESTQ CX, CX
	JZ    end

vector:
	VMOVUPS (SI), Y0
	MOVQ    BX, R8
	MOVQ    DX, R9

loop:
	VMOVDQU (R8), Y1
	VPERMPS Y0, Y1, Y2
	VMOVUPS Y2, (DI)
	ADDQ    $32, R8
	ADDQ    $32, DI
	DECQ    R9
	JNZ     loop
	ADDQ    $32, SI
	DECQ    CX
	JNZ     vector

end:
	VZEROUPPER
	RET

// func spread32(dst, src *float32, n int, lanes *uint32, inner int)
TEXT ·spread32(SB), NOSPLIT, $0-40
	JMP ·spread64(SB) // the lanes say how wide a scale is
