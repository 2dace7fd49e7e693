module github.com/bnfuse/bnfuse/e2e

go 1.26.0

require (
	github.com/bnfuse/bnfuse v0.0.0
	github.com/x448/float16 v0.8.4
	github.com/yalue/onnxruntime_go v1.27.0 // asks for C API 24, which ONNX Runtime has from 1.24 on
)

require google.golang.org/protobuf v1.36.12

replace github.com/bnfuse/bnfuse => ../
