package zoo

import (
	"fmt"
	"path"
	"strings"
)

// A Glob is a pattern over paths with slashes. ?, * and [a-z] stand for characters of one name, ** for any
// number of folders. A pattern without a slash matches the last name of a path, wherever it is. A pattern that
// matches a folder matches all that is in it.
type Glob struct {
	names []string // the pattern's, between slashes
}

// ParseGlob reads a pattern.
func ParseGlob(pattern string) (Glob, error) {
	var g Glob
	if !strings.Contains(strings.TrimSuffix(pattern, "/"), "/") {
		g.names = append(g.names, "**")
	}
	for name := range strings.SplitSeq(path.Clean(strings.Trim(pattern, "/")), "/") {
		if _, err := path.Match(name, ""); err != nil {
			return g, fmt.Errorf("zoo: pattern %q: %w", pattern, err)
		}
		if n := len(g.names); name != "**" || n == 0 || g.names[n-1] != "**" {
			g.names = append(g.names, name)
		}
	}
	if pattern == "" {
		return g, fmt.Errorf("zoo: an empty pattern")
	}
	return g, nil
}

// Match reports whether the pattern matches the path or a folder that it lies in.
func (g Glob) Match(p string) bool {
	// at[i]: the pattern's first i names match the path's names so far.
	at := make([]bool, len(g.names)+1)
	next := make([]bool, len(at))
	at[0] = true
	for name := range strings.SplitSeq(p, "/") {
		clear(next)
		for i, want := range g.names {
			if want == "**" {
				at[i+1] = at[i+1] || at[i] // for no folder
				next[i+1] = next[i+1] || at[i+1]
			} else if ok, _ := path.Match(want, name); ok && at[i] {
				next[i+1] = true
			}
		}
		if at, next = next, at; at[len(g.names)] {
			return true
		}
	}
	return false
}

// parseGlobs reads a list of patterns.
func parseGlobs(patterns []string) ([]Glob, error) {
	var list []Glob
	for _, p := range patterns {
		g, err := ParseGlob(p)
		if err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
}

func matchAny(globs []Glob, path string) bool {
	for _, g := range globs {
		if g.Match(path) {
			return true
		}
	}
	return false
}
