package report

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzReport: what is read as a report can be merged and written, and comes back from its JSON as it was.
func FuzzReport(f *testing.F) {
	for _, text := range []string{
		`{"input": "a", "folded": 1, "norms": [{"name": "n", "eps": 1e-5, "status": "folded", "min_scale": null, "scales": {"first": -2, "counts": [1, 0, 3]}}]}`,
		`{"input": "a", "kept": 1, "norms": [{"kind": "Mul", "status": "kept", "reason": "no layer beside it: x"}], "warnings": ["w"]}`,
		`{"shard": "1/2", "models": [{"input": "b", "error": "e"}, {"input": "a", "status": "copied", "resumed": true}], "totals": {"files": 2, "seconds": 0.5}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		z, err := parse(text)
		if err != nil {
			return
		}
		if _, err := json.Marshal(pack(z)); err != nil { // what differs from page to page
			t.Errorf("the page: %v", err)
		}
		var first, second bytes.Buffer
		if err := z.WriteJSON(&first); err != nil {
			t.Fatalf("the JSON: %v", err)
		}
		again, err := parse(first.Bytes())
		if err != nil {
			t.Fatalf("read back: %v", err)
		}
		if err := again.WriteJSON(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("%v: the JSON changes when it is read and written:\n%s\n%s", err, &first, &second)
		}
		if merged, err := Merge([]*Zoo{z, again}); err == nil && len(merged.Models) > len(z.Models) {
			t.Errorf("%d models became %d", len(z.Models), len(merged.Models))
		}
	})
}
