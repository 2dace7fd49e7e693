package main

import (
	"strings"
	"testing"
)

const printed = `goos: linux
cpu: Fast One
BenchmarkFile/resnet.onnx-2   	  11	 40980794 ns/op	2535.43 MB/s	 18.24 MB-peak	 0.9512 x-cp	 0.871 x-cp-q1	 1.103 x-cp-q3
    peers_test.go:55: ONNX Runtime is left out: it is not installed
BenchmarkFile/vgg.pt-2        	  11	 61965064 ns/op	 11.4 torch-x	 1.2 x-cp
    peers_test.go:55: ONNX Runtime is left out: it is not installed
BenchmarkSparse-2             	   1	 4548865200 ns/op	 4548 ms
PASS
`

func TestPage(t *testing.T) {
	m, err := parse(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	m.write(&b)
	page, err := replace([]byte("# Speed\n"+begin+"what was there\n"+end+"Why.\n"), b.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Speed\n" + begin + "## File to file\n",
		"| | of cp's time | PyTorch | peak memory, MB |\n|---|---:|---:|---:|\n",
		"| resnet.onnx | 0.95 (0.87–1.10) |  | 18.2 |\n| vgg.pt | 1.20 | 11.4 |  |\n",
		"|  | 4548 |\n",
		"\n- ONNX Runtime is left out: it is not installed\n" + end + "Why.\n",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks\n%s", want)
		}
	}
	if strings.Contains(string(page), "what was there") || m.cpu != "Fast One" {
		t.Errorf("cpu %q; page\n%s", m.cpu, page)
	}
	if _, err := replace([]byte("# Speed\n"), ""); err == nil {
		t.Error("a page without the marks is no error")
	}
	if _, err := parse(strings.NewReader("BenchmarkX-2 1 2\n")); err == nil {
		t.Error("a number without a unit is no error")
	}
}
