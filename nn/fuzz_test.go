package nn

import (
	"bytes"
	"os"
	"testing"
)

// FuzzLoad wants a network or an error from any file; what was loaded can be saved, and loaded from that.
func FuzzLoad(f *testing.F) {
	b, err := os.ReadFile("../testdata/grouped_decoder.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(fileOf("BF16", "0.weight", []int{2, 3, 1, 1}, "1.running_mean", []int{2}, "1.running_var", []int{2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		network := func() Module { return NewSequential(&Conv2d{}, newNorm2d(), &Linear{}) }
		m := network()
		if _, err := loadBytes(b, m, LoadOptions{Partial: true}); err != nil {
			return
		}
		var saved bytes.Buffer
		if err := Save(&saved, m, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := loadBytes(saved.Bytes(), network(), LoadOptions{Partial: true}); err != nil {
			t.Fatal(err)
		}
	})
}
