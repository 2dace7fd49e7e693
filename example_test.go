package bnfuse_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/bnfuse/bnfuse"
)

func ExampleFuseFile() {
	dir, err := os.MkdirTemp("", "bnfuse")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "resnet.onnx")
	m, err := bnfuse.FuseFile(context.Background(), "testdata/resnet.onnx", out, bnfuse.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Summary())
	// Output: 9 of 9 batch norms folded
}

func ExampleInspect() {
	m, err := bnfuse.Inspect(context.Background(), "testdata/two_heads.onnx", bnfuse.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Summary())
	for _, n := range m.Norms {
		if n.Status == "kept" {
			fmt.Println(n.Name, "stays:", n.Reason)
		}
	}
	// Output:
	// 2 of 3 batch norms can be folded
	// /norm/BatchNormalization stays: layer output has another use: "output0" is an output of the graph
}
