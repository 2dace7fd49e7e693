package onnx

import "io"

// Locations lists the files in which the model r of size bytes keeps tensors, as it names them: relative to
// its own folder, with slashes, each once, in the order of first use. None of them is looked at, so they may
// be missing or lead anywhere. A damaged model is an error.
func Locations(r io.ReaderAt, size int64) ([]string, error) {
	m, err := readModel(r, size)
	if err != nil {
		return nil, err
	}
	var list []string
	seen := map[string]bool{}
	for i := range m.tensors {
		if !m.tensors[i].outside {
			continue
		}
		t, err := m.initializer(int32(i))
		if err != nil {
			return nil, err
		}
		if location := t.external.location; !seen[location] {
			seen[location] = true
			list = append(list, location)
		}
	}
	return list, nil
}
