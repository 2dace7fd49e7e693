package safetensors

import "testing"

// FuzzIndex wants an index or an error from any text, and an index from what it is written as.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":8},"weight_map":{"a.weight":"model-00001-of-00001.safetensors"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ParseIndex(b)
		if err != nil {
			return
		}
		var list []Entry
		for _, name := range x.Names {
			list = append(list, Entry{Name: name, NBytes: 4})
		}
		if again, err := ParseIndex(x.Encode([]string{"s.safetensors"}, [][]Entry{list})); err != nil || len(again.Names) != len(x.Names) {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}
