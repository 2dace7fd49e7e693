module github.com/bnfuse/bnfuse/e2e

go 1.26.0

require (
	github.com/bnfuse/bnfuse v0.0.0
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0 // drives Chromium; nothing but it and cdproto comes along
	github.com/x448/float16 v0.8.4
	github.com/yalue/onnxruntime_go v1.27.0 // asks for C API 24, which ONNX Runtime has from 1.24 on
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/jedib0t/go-pretty/v6 v6.8.3 // indirect
	github.com/mattn/go-runewidth v0.0.16 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.22.0 // indirect
)

replace github.com/bnfuse/bnfuse => ../
