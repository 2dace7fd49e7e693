package bench

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// generate writes a weightsModel as ONNX, as safetensors and, where PyTorch is installed, as a state dict.
func generate(b *testing.B, name string, elem onnxtest.ElemType, layers int) []model {
	g := weightsModel(name, elem, layers)
	path := filepath.Join(b.TempDir(), name)
	graph := path + ".onnx"
	writeModel(b, graph, g)
	writeSafetensors(b, path+".safetensors", g.Init)
	models := []model{{path: graph}, {path + ".safetensors", graph}}
	if err := exec.Command(python, "-c", toStateDict, path+".safetensors", path+".pt").Run(); err != nil {
		b.Logf("no state dict of %s: PyTorch is not installed", name)
		return models
	}
	return append(models, model{path + ".pt", graph})
}

// toStateDict turns safetensors into what torch.save writes.
const toStateDict = `
import json, sys, torch
kinds = {"F32": torch.float32, "F16": torch.float16}
with open(sys.argv[1], "rb") as f:
    data = bytearray(f.read())
end = 8 + int.from_bytes(data[:8], "little")
state = {}
for name, t in json.loads(data[8:end]).items():
    first, last = t["data_offsets"]
    state[name] = torch.frombuffer(data[end + first:end + last], dtype=kinds[t["dtype"]]).reshape(t["shape"])
torch.save(state, sys.argv[2])
`

func writeSafetensors(b *testing.B, path string, tensors []onnxtest.Tensor) {
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int64  `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header, at := map[string]entry{}, int64(0)
	for _, t := range tensors {
		dtype, size := "F32", int64(4)
		if t.Elem == onnxtest.Float16 {
			dtype, size = "F16", 2
		}
		end := at + int64(t.NumElem())*size
		header[t.Name] = entry{dtype, t.Dims, [2]int64{at, end}}
		at = end
	}
	text, err := json.Marshal(header)
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
	w.Write(text)
	for _, t := range tensors {
		w.Write(t.RawBytes())
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
}
