package bench

import (
	"path/filepath"
	"testing"
)

// BenchmarkSmall is what a run costs whatever the model: the program's start, and small models. x-cp is beside
// cp of the same file, x-true beside /bin/true, which is what a process costs here.
//
//	go test ./bench -run - -bench Small -benchtime 41x
func BenchmarkSmall(b *testing.B) {
	program := buildProgram(b)
	start := peer{"true", func() float64 {
		seconds, _ := run(b, "true")
		return seconds
	}}
	b.Run("version", func(b *testing.B) {
		inTurn(b, func() (float64, int64) { return run(b, program, "version") }, []peer{start}, nil)
	})
	for _, name := range []string{"stem_opset17.onnx", "resnet.onnx", "mobilenet_v2.onnx", "resnet.safetensors"} {
		b.Run(name, func(b *testing.B) {
			m := model{path: "../testdata/" + name}
			if filepath.Ext(name) != ".onnx" {
				m.graph = "../testdata/resnet.onnx"
			}
			b.SetBytes(m.nBytes(b))
			out := filepath.Join(b.TempDir(), "out"+filepath.Ext(name))
			cp := peer{"cp", func() float64 {
				t, _ := timed(b, out, "cp", "--reflink=never", m.path, out)
				return t
			}}
			inTurn(b, func() (float64, int64) { return timed(b, out, program, m.fuseArgs(out)...) }, []peer{cp, start}, nil)
		})
	}
}
