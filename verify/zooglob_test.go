package verify

import "testing"

// TestMatchPath: patterns over the paths of a zoo.
func TestMatchPath(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"*.pt", "x.pt", true},
		{"*.pt", "a/b/x.pt", true},
		{"*.pt", "x.pth", false},
		{"a/*.pt", "a/x.pt", true},
		{"a/*.pt", "b/a/x.pt", false},
		{"a/*.pt", "a/b/x.pt", false},
		{"**/x.pt", "x.pt", true},
		{"**/x.pt", "a/b/x.pt", true},
		{"a/**/x.pt", "a/x.pt", true},
		{"a/**/x.pt", "a/b/c/x.pt", true},
		{"a/**/c/*.pt", "a/b/c/d/c/x.pt", true},
		{"a", "b/a/x.pt", true},
		{"a/", "a/x.pt", true},
		{"a/b", "a/b/x.pt", true},
		{"a/**", "a/b/x.pt", true},
		{"a/**", "b/x.pt", false},
		{"r[0-9]?.pt", "r50.pt", true},
		{"[", "[", false},
	} {
		if got := matchPath(c.pattern, c.path); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.path, got)
		}
	}
}

// TestCacheLayout: which files of a Hugging Face cache a folder made of it may lack.
func TestCacheLayout(t *testing.T) {
	for _, c := range []struct {
		dir, path string
		want      bool
	}{
		{"/hub", "models--a--b/blobs/0123", true},
		{"/hub", "models--a--b/refs/main", true},
		{"/hub", "x/models--a--b/refs/pr/1", true},
		{"/hub/models--a--b", "blobs/0123", true},
		{"/hub", "models--a--b/snapshots/1/config.json", false},
		{"/hub", "blobs/0123", false},
		{"/hub", "a/refs/main", false},
	} {
		if got := (&tree{dir: c.dir}).mayBeLeftOut(c.path); got != c.want {
			t.Errorf("%s in %s: %v", c.path, c.dir, got)
		}
	}
}
