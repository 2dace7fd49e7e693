module github.com/bnfuse/bnfuse

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/x448/float16 v0.8.4
	// gorgonia.org/tensor v0.9.24 panics at start on Go 1.26 with the version it asks for itself
	// ("assume-no-moving-gc ... hasn't been updated"); this one knows every Go release to come.
	go4.org/unsafe/assume-no-moving-gc v0.0.0-20231121144256-b99613f794b6
	golang.org/x/sys v0.49.0
	google.golang.org/protobuf v1.36.12
	gorgonia.org/tensor v0.9.24
	pgregory.net/rapid v1.3.0
)
