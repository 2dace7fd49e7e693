package foreign

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for head, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:": "Git LFS",
		"\x89HDF\r\n\x1a\n":    "HDF5",
		"GGUF\x03":             "GGUF",
		"{}":                   "JSON",
		"\x1c\x00\x00\x00TFL3": "TensorFlow Lite",
		"\x1f\x8b\x08\x00":     "gzip",
		"<!DOCTYPE html>":      "HTML",
		"# bnfuse\n":           "text",
		"\x7fELF\x02":          "program",
		"\x08\x08\x12":         "",
		"":                     "",
		"TFL":                  "",
	} {
		if got := Name([]byte(head)); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q is %q, want %q", head, got, want)
		}
	}
}
