#include "textflag.h"

// Eight float32 in Y0 to float64 at DI.
#define STORE8 \
	VEXTRACTF128 $1, Y0, X1 \
	VCVTPS2PD    X0, Y2     \
	VCVTPS2PD    X1, Y3     \
	VMOVUPD      Y2, (DI)   \
	VMOVUPD      Y3, 32(DI) \
	ADDQ         $64, DI

// func widenF32(dst *float64, src *byte, n int)
TEXT ·widenF32(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VMOVUPS (SI), Y0
	STORE8
	ADDQ    $32, SI
	SUBQ    $8, CX
	JNZ     loop
	VZEROUPPER
	RET

// func widenF16(dst *float64, src *byte, n int)
TEXT ·widenF16(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VCVTPH2PS (SI), Y0
	STORE8
	ADDQ      $16, SI
	SUBQ      $8, CX
	JNZ       loop
	VZEROUPPER
	RET

// func widenBF16(dst *float64, src *byte, n int)
TEXT ·widenBF16(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VPMOVZXWD (SI), Y0
	VPSLLD    $16, Y0, Y0
	STORE8
	ADDQ      $16, SI
	SUBQ      $8, CX
	JNZ       loop
	VZEROUPPER
	RET

// Four lanes in SUM. Not a fused multiply-add: the product is rounded.
#define ADD4(OFF, SUM) \
	VMOVUPD OFF(SI), Y8     \
	VMULPD  OFF(BX), Y8, Y8 \
	VADDPD  Y8, SUM, SUM

#define ADD4BY1(OFF, SUM) \
	VMULPD OFF(SI), Y9, Y8 \
	VADDPD Y8, SUM, SUM

// func addRounds(lanes, w, s *float64, rounds, step int)
TEXT ·addRounds(SB), NOSPLIT, $0-40
	MOVQ    lanes+0(FP), DI
	MOVQ    w+8(FP), SI
	MOVQ    s+16(FP), BX
	MOVQ    rounds+24(FP), CX
	MOVQ    step+32(FP), DX
	VMOVUPD (DI), Y0
	VMOVUPD 32(DI), Y1
	VMOVUPD 64(DI), Y2
	VMOVUPD 96(DI), Y3
	VMOVUPD 128(DI), Y4
	VMOVUPD 160(DI), Y5
	VMOVUPD 192(DI), Y6
	VMOVUPD 224(DI), Y7
	TESTQ   DX, DX
	JZ      one

each:
	ADD4(0, Y0)
	ADD4(32, Y1)
	ADD4(64, Y2)
	ADD4(96, Y3)
	ADD4(128, Y4)
	ADD4(160, Y5)
	ADD4(192, Y6)
	ADD4(224, Y7)
	ADDQ $256, SI
	ADDQ $256, BX
	DECQ CX
	JNZ  each
	JMP  end

one:
	VBROADCASTSD (BX), Y9

oneloop:
	ADD4BY1(0, Y0)
	ADD4BY1(32, Y1)
	ADD4BY1(64, Y2)
	ADD4BY1(96, Y3)
	ADD4BY1(128, Y4)
	ADD4BY1(160, Y5)
	ADD4BY1(192, Y6)
	ADD4BY1(224, Y7)
	ADDQ $256, SI
	DECQ CX
	JNZ  oneloop

end:
	VMOVUPD Y0, (DI)
	VMOVUPD Y1, 32(DI)
	VMOVUPD Y2, 64(DI)
	VMOVUPD Y3, 96(DI)
	VMOVUPD Y4, 128(DI)
	VMOVUPD Y5, 160(DI)
	VMOVUPD Y6, 192(DI)
	VMOVUPD Y7, 224(DI)
	VZEROUPPER
	RET
