package main

import (
	"encoding/json"
	"io"

	"github.com/bnfuse/bnfuse/report"
	"github.com/bnfuse/bnfuse/zoo"
)

// events writes what happens in a zoo as JSON, an object a line; docs/zoo.md describes them.
type events struct {
	e           *json.Encoder
	err         error // the first; nothing is written after it
	dir, output string
}

func newEvents(w io.Writer, dir, output string) *events {
	v := &events{e: json.NewEncoder(w), dir: dir, output: output}
	v.e.SetEscapeHTML(false)
	return v
}

// Of the fields of an event those that are always there come first.
type (
	startEvent struct {
		Event  string `json:"event"` // start
		Input  string `json:"input"`
		Output string `json:"output"`
		Models int    `json:"models"`
		Bytes  int64  `json:"bytes"`
	}
	modelEvent struct {
		Event    string   `json:"event"` // model
		Path     string   `json:"path"`
		Status   string   `json:"status"`
		Error    string   `json:"error,omitempty"`
		Resumed  bool     `json:"resumed,omitempty"`
		Format   string   `json:"format"`
		Engine   string   `json:"engine"`
		Folded   int      `json:"folded"`
		Kept     int      `json:"kept"`
		BytesIn  int64    `json:"bytes_in"`
		BytesOut int64    `json:"bytes_out"`
		Seconds  float64  `json:"seconds"`
		Warnings []string `json:"warnings,omitempty"`
		Done     int      `json:"done"` // models of the run so far
		Failed   int      `json:"failed"`
	}
	warningEvent struct {
		Event string `json:"event"` // warning
		Path  string `json:"path,omitempty"`
		Text  string `json:"text"`
	}
	doneEvent struct {
		Event  string        `json:"event"`           // done
		Error  string        `json:"error,omitempty"` // what ended the run early
		Totals report.Totals `json:"totals"`
	}
)

func (v *events) write(e zoo.Event) {
	switch e.Kind {
	case zoo.EventStart:
		v.line(startEvent{"start", v.dir, v.output, e.Models, e.Bytes})
	case zoo.EventWarning:
		v.line(warningEvent{"warning", e.Path, e.Text})
	case zoo.EventEnd:
		if m := e.Model; m != nil {
			v.line(modelEvent{"model", e.Path, m.Status, m.Error, m.Resumed, m.Format, m.Engine, m.Folded, m.Kept,
				m.BytesIn, m.BytesOut, m.Seconds, m.Warnings, e.Done, e.Failed})
		}
	}
}

// end writes the last event, of a run that ended, perhaps with an error. It gives the error of writing.
func (v *events) end(z *report.Zoo, ended error) error {
	e := doneEvent{Event: "done", Totals: z.Totals}
	if ended != nil {
		e.Error = ended.Error()
	}
	v.line(e)
	return v.err
}

func (v *events) line(event any) {
	if v.err == nil {
		v.err = v.e.Encode(event)
	}
}
