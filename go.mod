module github.com/bnfuse/bnfuse

go 1.26

require (
	// gorgonia.org/tensor v0.9.24 panics at start on Go 1.26 with the version it asks for itself
	// ("assume-no-moving-gc ... hasn't been updated"); this one knows every Go release to come.
	go4.org/unsafe/assume-no-moving-gc v0.0.0-20231121144256-b99613f794b6
	gorgonia.org/tensor v0.9.24
)
