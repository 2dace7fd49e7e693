package safetensors

import "github.com/bnfuse/bnfuse/fuse"

// ElemBits is the size of an element by its type. A type that is not here is nobody's to interpret.
var ElemBits = map[string]int64{
	"F64": 64, "F32": 32, "F16": 16, "BF16": 16,
	"I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
	"C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}

// Floats are the types that can be scaled.
var Floats = map[string]fuse.DType{"F64": fuse.Float64, "F32": fuse.Float32, "F16": fuse.Float16, "BF16": fuse.BFloat16}
