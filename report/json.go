package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"regexp"
)

// WriteJSON writes the report as indented JSON, ending in a newline.
func (m *Model) WriteJSON(w io.Writer) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // names such as "a->b" stay readable
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return err
	}
	_, err := w.Write(brokenNumbers.ReplaceAllFunc(b.Bytes(), onOneLine))
	return err
}

// brokenNumbers matches an array of integers with each on a line of its own, as a histogram's counts come
// out of the indenting. No string holds one, because a line break in a string is written \n.
var brokenNumbers = regexp.MustCompile(`\[\n[-0-9,\s]*\]`)

func onOneLine(array []byte) []byte {
	return bytes.ReplaceAll(bytes.Join(bytes.Fields(array), nil), []byte(","), []byte(", "))
}

// WriteJSON writes the report, whose Sum must have been taken, as JSON. Each model is on a line of its own, so
// that a zoo of thousands stays a file that grep and diff can work on.
func (z *Zoo) WriteJSON(w io.Writer) error {
	l := lines{w: bufio.NewWriter(w)}
	l.add("{\n\"input\": ", z.Input, ",")
	l.add(`"output": `, z.Output, ",")
	l.add(`"engine": `, z.Engine, ",")
	l.add(`"version": `, z.Version, ",")
	if z.Shard != "" {
		l.add(`"shard": `, z.Shard, ",")
	}
	if len(z.Warnings) > 0 {
		l.add(`"warnings": `, z.Warnings, ",")
	}
	l.w.WriteString("\"models\": [\n")
	for i, m := range z.Models {
		end := ","
		if i == len(z.Models)-1 {
			end = ""
		}
		l.add("", m, end)
	}
	l.add("],\n\"totals\": ", z.Totals, "}")
	if l.err != nil {
		return l.err
	}
	return l.w.Flush()
}

// lines writes JSON values, each on a line, until one cannot be written.
type lines struct {
	w   *bufio.Writer // keeps its own error
	one bytes.Buffer
	err error
}

func (l *lines) add(before string, value any, after string) {
	if l.err != nil {
		return
	}
	l.one.Reset()
	e := json.NewEncoder(&l.one)
	e.SetEscapeHTML(false)
	l.err = e.Encode(value)
	l.w.WriteString(before)
	l.w.Write(bytes.TrimSuffix(l.one.Bytes(), []byte("\n")))
	l.w.WriteString(after + "\n")
}
