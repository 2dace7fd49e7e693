package report

import (
	"bufio"
	"encoding/json"
	"io"
)

// WriteJSON writes the report as JSON, each model on a line of its own: a zoo of thousands stays a file
// that grep and diff can work on.
func (z *Zoo) WriteJSON(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b) // its errors are those of b, which Flush gives
	e.SetEscapeHTML(false)
	field := func(name string, value any) {
		b.WriteString(`"` + name + `": `)
		e.Encode(value)
		b.WriteString(",")
	}
	b.WriteString("{")
	field("input", z.Input)
	field("output", z.Output)
	field("engine", z.Engine)
	field("version", z.Version)
	if z.Shard != "" {
		field("shard", z.Shard)
	}
	b.WriteString(`"models": [`)
	for i, m := range z.Models {
		if i > 0 {
			b.WriteString(",")
		}
		if err := e.Encode(m); err != nil {
			return err // a Seconds that is not finite
		}
	}
	b.WriteString(`],"totals": `)
	if err := e.Encode(z.Totals); err != nil {
		return err
	}
	b.WriteString("}\n")
	return b.Flush()
}
