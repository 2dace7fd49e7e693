#include "textflag.h"

// These functions do only blocks without zeros, infinities, NaNs and, for the half types, doubt. Registers
// and tests are as in avx2_amd64.s.

#define AHEAD 4096

DATA largest16<>+0(SB)/4, $0xf7fef7fe // twice: below 2·∞ − 1 of a float16
GLOBL largest16<>(SB), RODATA|NOPTR, $4
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

// func wideF32(w *byte, n int, s *float64, step int) (done int)
TEXT ·wideF32(SB), 0, $256-40
	MOVQ w+0(FP), DI
	MOVQ n+8(FP), CX
	MOVQ s+16(FP), BX
	MOVQ step+24(FP), DX
	XORQ SI, SI
	SHRQ $5, CX
	JZ   end
	SHLQ $8, DX
	JNZ  loop

	VBROADCASTSD (BX), Z0
	VMOVUPD      Z0, same-256(SP)
	VMOVUPD      Z0, same-192(SP)
	VMOVUPD      Z0, same-128(SP)
	VMOVUPD      Z0, same-64(SP)
	LEAQ         same-256(SP), BX

loop:
	PREFETCHT0 AHEAD(DI)
	PREFETCHT0 (AHEAD+64)(DI)
	VCVTPS2PD  (DI), Z0
	VCVTPS2PD  32(DI), Z1
	VCVTPS2PD  64(DI), Z2
	VCVTPS2PD  96(DI), Z3
	VMULPD     (BX), Z0, Z0
	VMULPD     64(BX), Z1, Z1
	VMULPD     128(BX), Z2, Z2
	VMULPD     192(BX), Z3, Z3
	VCVTPD2PS  Z0, Y0
	VCVTPD2PS  Z1, Y1
	VCVTPD2PS  Z2, Y2
	VCVTPD2PS  Z3, Y3

	// NaN, zero, infinity
	VFPCLASSPSY $0x9f, Y0, K1
	VFPCLASSPSY $0x9f, Y1, K2
	VFPCLASSPSY $0x9f, Y2, K3
	VFPCLASSPSY $0x9f, Y3, K4
	KORB        K1, K2, K1
	KORB        K3, K4, K3
	KORTESTB    K1, K3
	JNZ         end

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
	RET

// ---- float16 and bfloat16 in float32 ----

// CONSTANTS sets Z13 to Z10; PRODUCTS leaves 32 results in Z0, and in K1 those in doubt.
#define QUICK(LARGEST, CONSTANTS, PRODUCTS) \
	MOVQ w+0(FP), DI                 \
	MOVQ n+8(FP), CX                 \
	MOVQ s+16(FP), BX                \
	MOVQ step+24(FP), DX             \
	XORQ SI, SI                      \
	SHRQ $5, CX                      \
	JZ   end                         \
	SHLQ $7, DX                      \
	JNZ  start                       \
	VBROADCASTSS (BX), Z0            \
	VMOVUPS      Z0, same-128(SP)    \
	VMOVUPS      Z0, same-64(SP)     \
	LEAQ         same-128(SP), BX    \
start:                                   \
	VPTERNLOGD   $0xff, Z14, Z14, Z14 \ // −1
	VPBROADCASTD LARGEST<>(SB), Z9   \
	CONSTANTS                        \
loop:                                    \
	PREFETCHT0 AHEAD(DI)             \
	PRODUCTS                         \
	VPADDW    Z0, Z0, Z4             \
	VPADDW    Z14, Z4, Z4            \
	VPCMPUW   $6, Z9, Z4, K2         \ // greater
	KORTESTD  K1, K2                 \
	JNZ       end                    \
	VMOVDQU64 Z0, (DI)               \
	ADDQ      $64, DI                \
	ADDQ      DX, BX                 \
	ADDQ      $32, SI                \
	DECQ      CX                     \
	JNZ       loop                   \
end:                                     \
	VZEROUPPER                       \
	MOVQ SI, done+32(FP)             \
	RET

#define QUICKF16CONSTANTS \
	VBROADCASTSS below<>(SB), Z13 \
	VBROADCASTSS above<>(SB), Z12

#define QUICKF16PRODUCTS \
	VCVTPH2PS    (DI), Z0       \
	VCVTPH2PS    32(DI), Z1     \
	VMULPS       (BX), Z0, Z0   \
	VMULPS       64(BX), Z1, Z1 \
	VMULPS       Z12, Z0, Z2    \
	VMULPS       Z12, Z1, Z3    \
	VMULPS       Z13, Z0, Z0    \
	VMULPS       Z13, Z1, Z1    \
	VCVTPS2PH    $0, Z0, Y0     \
	VCVTPS2PH    $0, Z1, Y1     \
	VCVTPS2PH    $0, Z2, Y2     \
	VCVTPS2PH    $0, Z3, Y3     \
	VINSERTI64X4 $1, Y1, Z0, Z0 \
	VINSERTI64X4 $1, Y3, Z2, Z2 \
	VPCMPUW      $4, Z2, Z0, K1 // not equal

// func wideQuickF16(w *byte, n int, s *float32, step int) (done int)
TEXT ·wideQuickF16(SB), 0, $128-40
	QUICK(largest16, QUICKF16CONSTANTS, QUICKF16PRODUCTS)

#define QUICKBF16CONSTANTS \
	VPBROADCASTD halfMinus4<>(SB), Z13 \
	VPBROADCASTD halfPlus4<>(SB), Z12  \
	VPBROADCASTD upper16<>(SB), Z11    \
	VMOVDQU64    odd<>(SB), Z10

#define QUICKBF16PRODUCTS \
	VPMOVZXWD (DI), Z0       \
	VPMOVZXWD 32(DI), Z1     \
	VPSLLD    $16, Z0, Z0    \
	VPSLLD    $16, Z1, Z1    \
	VMULPS    (BX), Z0, Z0   \
	VMULPS    64(BX), Z1, Z1 \
	VPADDD    Z12, Z0, Z2    \
	VPADDD    Z12, Z1, Z3    \
	VPADDD    Z13, Z0, Z0    \
	VPADDD    Z13, Z1, Z1    \
	VPXORD    Z0, Z2, Z2     \
	VPXORD    Z1, Z3, Z3     \
	VPORD     Z2, Z3, Z2     \
	VPTESTMD  Z11, Z2, K1    \ // 16 bits, of which K2 has 32
	VPERMT2W  Z1, Z10, Z0

// func wideQuickBF16(w *byte, n int, s *float32, step int) (done int)
TEXT ·wideQuickBF16(SB), 0, $128-40
	QUICK(largestB16, QUICKBF16CONSTANTS, QUICKBF16PRODUCTS)

// ---- float16 and bfloat16 in float64 ----

// CONSTANTS sets Z13 to Z10; LOAD widens eight weights to float32; NARROW makes 32 results in Z0 of the
// float32 in Y0 to Y3, and sets K1 where it cannot.
#define EXACT(LARGEST, CONSTANTS, LOAD, NARROW) \
	MOVQ w+0(FP), DI                  \
	MOVQ n+8(FP), CX                  \
	MOVQ s+16(FP), BX                 \
	MOVQ step+24(FP), DX              \
	XORQ SI, SI                       \
	SHRQ $5, CX                       \
	JZ   end                          \
	SHLQ $8, DX                       \
	JNZ  start                        \
	VBROADCASTSD (BX), Z0             \
	VMOVUPD      Z0, same-256(SP)     \
	VMOVUPD      Z0, same-192(SP)     \
	VMOVUPD      Z0, same-128(SP)     \
	VMOVUPD      Z0, same-64(SP)      \
	LEAQ         same-256(SP), BX     \
start:                                    \
	VPTERNLOGD   $0xff, Z14, Z14, Z14 \ // −1
	VPBROADCASTD LARGEST<>(SB), Z9    \
	VPBROADCASTQ cut29<>(SB), Z8      \
	VPBROADCASTQ bit29<>(SB), Z7      \
	CONSTANTS                         \
loop:                                     \
	PREFETCHT0 AHEAD(DI)              \
	LOAD(0, Y0)                       \
	LOAD(16, Y1)                      \
	LOAD(32, Y2)                      \
	LOAD(48, Y3)                      \
	ODD(0, Z0, Y0, K1)                \
	ODD(64, Z1, Y1, K2)               \
	ODD(128, Z2, Y2, K3)              \
	ODD(192, Z3, Y3, K4)              \
	VINSERTF64X4 $1, Y1, Z0, Z0       \
	VINSERTF64X4 $1, Y3, Z2, Z1       \
	NARROW                            \
	VPADDW    Z0, Z0, Z4              \
	VPADDW    Z14, Z4, Z4             \
	VPCMPUW   $6, Z9, Z4, K2          \ // greater
	KORTESTD  K1, K2                  \
	JNZ       end                     \
	VMOVDQU64 Z0, (DI)                \
	ADDQ      $64, DI                 \
	ADDQ      DX, BX                  \
	ADDQ      $32, SI                 \
	DECQ      CX                      \
	JNZ       loop                    \
end:                                      \
	VZEROUPPER                        \
	MOVQ SI, done+32(FP)              \
	RET

// Eight products of the float32 in Y, rounded to odd: what a float32 cannot hold is cut off, and if that
// was anything the last bit is set.
#define ODD(OFF, Z, Y, K) \
	VCVTPS2PD        Y, Z          \
	VMULPD           OFF(BX), Z, Z \
	VPTESTMQ         Z8, Z, K      \
	VPORQ            Z7, Z, K, Z   \
	VCVTPD2PS.RZ_SAE Z, Y

#define NOCONSTANTS

#define LOADF16(OFF, Y) \
	VCVTPH2PS OFF(DI), Y

#define NARROWF16 \
	VCVTPS2PH    $0, Z0, Y0     \
	VCVTPS2PH    $0, Z1, Y1     \
	VINSERTI64X4 $1, Y1, Z0, Z0 \
	KXORD        K1, K1, K1

// func wideF16(w *byte, n int, s *float64, step int) (done int)
TEXT ·wideF16(SB), 0, $256-40
	EXACT(largest16, NOCONSTANTS, LOADF16, NARROWF16)

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
	VFPCLASSPSZ $0x20, Z0, K1   \ // subnormal
	VFPCLASSPSZ $0x20, Z1, K2   \
	KORD        K1, K2, K1      \
	VPSRLD      $16, Z0, Z4     \
	VPSRLD      $16, Z1, Z5     \
	VPANDD      Z12, Z4, Z4     \
	VPANDD      Z12, Z5, Z5     \
	VPADDD      Z13, Z0, Z0     \
	VPADDD      Z13, Z1, Z1     \
	VPADDD      Z4, Z0, Z0      \
	VPADDD      Z5, Z1, Z1      \
	VPERMT2W    Z1, Z10, Z0

// func wideBF16(w *byte, n int, s *float64, step int) (done int)
TEXT ·wideBF16(SB), 0, $256-40
	EXACT(largestB16, BF16CONSTANTS, LOADBF16, NARROWBF16)
