package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteTable writes a row for every model, and what is wrong below, of each model the first so many lines;
// 0 stands for all. The table is kept within the width of the terminal, 0 for any.
//
//	MODEL  NORMS  LAYERS  WEIGHT ULP  VERDICT
func (r *ZooResult) WriteTable(w io.Writer, width, most int) error {
	rows := [][]string{{"MODEL", "NORMS", "LAYERS", "WEIGHT ULP", "VERDICT"}}
	for i := range r.Models {
		rows = append(rows, r.Models[i].row())
	}
	var b strings.Builder
	if len(r.Models) > 0 {
		writeColumns(&b, width, rows)
	}
	for i := range r.Models {
		switch m := &r.Models[i]; {
		case m.OK():
		case m.Result == nil:
			fmt.Fprintf(&b, "%s: %s\n", printable(m.Path), printable(m.Error))
		default:
			fmt.Fprintf(&b, "%s:\n", printable(m.Path))
			m.Result.writeComplaints(&b, "  ", most)
		}
	}
	var lines []string
	for _, d := range r.Differences {
		lines = append(lines, d.line())
	}
	writeFirst(&b, "", lines, most)
	_, err := io.WriteString(w, b.String())
	return err
}

// Verdict is right, WRONG, UNKNOWN, MISSING or FAILED, see docs/verify.md.
func (m *ZooModel) Verdict() string {
	switch {
	case m.Output == "":
		return "MISSING"
	case m.Result == nil:
		return "FAILED"
	case m.Result.Untold:
		return "UNKNOWN"
	case !m.OK():
		return "WRONG"
	}
	return "right"
}

func (m *ZooModel) row() []string {
	cells := []string{printable(m.Path), "", "", "", m.Verdict()}
	if m.Output != "" && m.Result != nil {
		copy(cells[1:], []string{fmt.Sprint(m.Result.Folded), fmt.Sprint(len(m.Result.Layers)), m.Result.worst().worst()})
	}
	return cells
}

// MarshalJSON adds the verdict.
func (m ZooModel) MarshalJSON() ([]byte, error) {
	type plain ZooModel
	return json.Marshal(struct {
		plain
		Verdict string `json:"verdict"`
	}{plain(m), m.Verdict()})
}

// Summary is the result in a line.
func (r *ZooResult) Summary() string {
	norms, layers := 0, 0
	for _, m := range r.Models {
		if m.Result != nil {
			norms += m.Result.Folded
			layers += len(m.Result.Layers)
		}
	}
	s := fmt.Sprintf("%s, %s in %s", count(len(r.Models), "model"), count(norms, "norm"), count(layers, "layer"))
	if r.OK() {
		return s + ": all right, nothing else changed"
	}
	return fmt.Sprintf("%s, %s not right, %s", s, count(r.Failed(), "model"), count(len(r.Differences), "other difference"))
}

// WriteJSON writes the result with all it holds, and whether it is OK.
func (r *ZooResult) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		*ZooResult
		OK bool `json:"ok"`
	}{r, r.OK()})
}
