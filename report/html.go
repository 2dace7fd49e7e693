package report

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"strings"
)

// The page is one file without any outside part: style, script and data stand in it, and its
// Content-Security-Policy allows nothing else, so that no name in a report can make the browser fetch or
// run something. Names reach the page as JSON in an element that is not run, and from there as text, never
// as HTML.

//go:embed page
var page embed.FS

// The parts of the page's style and script, in the order in which they are put together.
var (
	styles  = []string{"base.css", "tables.css", "pictures.css", "screens.css"}
	scripts = []string{
		"dom.js", "format.js", "data.js", // what everything stands on
		"scales.js", "picture.js", "rows.js", "finder.js", // parts of the views
		"totals.js", "zoo.js", "norms.js", "model.js", "main.js",
	}
)

// WriteHTML writes the report, whose Sum must have been taken, as one page that needs nothing else: no network,
// no server.
func (z *Zoo) WriteHTML(w io.Writer) error {
	var data bytes.Buffer
	if err := json.NewEncoder(&data).Encode(pack(z)); err != nil { // escapes <, > and &: no name can end the element
		return err
	}
	style, script := pageParts(styles...), pageParts(scripts...)
	_, err := strings.NewReplacer(
		"{{title}}", html.EscapeString(z.title()),
		"{{style-hash}}", hash(style),
		"{{script-hash}}", hash(script),
		"{{style}}", style,
		"{{script}}", script,
		"{{data}}", data.String(),
	).WriteString(w, pageParts("page.html"))
	return err
}

// WriteHTML writes the report as one page that needs nothing else: no network, no server.
func (m *Model) WriteHTML(w io.Writer) error { return ZooOf(m, "").WriteHTML(w) }

func pageParts(names ...string) string {
	var all strings.Builder
	for _, name := range names {
		b, err := page.ReadFile("page/" + name)
		if err != nil {
			panic(err) // it is part of the program
		}
		all.Write(b)
	}
	return all.String()
}

// hash names the text of an element to a Content-Security-Policy.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// title is what the browser's tab shows.
func (z *Zoo) title() string {
	name := z.Input
	if name == "" && len(z.Models) == 1 {
		name = z.Models[0].Input
	}
	if name == "" {
		return "bnfuse report"
	}
	return strings.ToValidUTF8(name, "\uFFFD") + " · bnfuse report"
}
