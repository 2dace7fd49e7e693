package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
)

// WriteTable writes a row for every layer that took norms, and what is wrong below, the first so many lines
// of it: files that have nothing to do with each other differ in everything. 0 stands for all. The table is
// kept within the width of the terminal, 0 for any: their number stands for the norms then, and of the layers'
// names the ends are left.
//
//	LAYER  OP  NORMS  WEIGHT ULP  ROUNDED  BIAS ULP  VERDICT
func (r *Result) WriteTable(w io.Writer, width, most int) error {
	rows := [][]string{{"LAYER", "OP", "NORMS", "WEIGHT ULP", "ROUNDED", "BIAS ULP", "VERDICT"}}
	for _, l := range r.Layers {
		rows = append(rows, l.row())
	}
	if width > 0 && total(columnWidths(rows)) > width {
		for i, l := range r.Layers {
			rows[i+1][2] = fmt.Sprint(len(l.Norms))
		}
	}
	var b strings.Builder
	if len(r.Layers) > 0 {
		writeColumns(&b, width, rows)
	}
	r.writeComplaints(&b, "", most)
	_, err := io.WriteString(w, b.String())
	return err
}

func (l *Layer) row() []string {
	verdict := "right"
	if len(l.Problems) > 0 {
		verdict = "WRONG"
	}
	return []string{printable(l.Name), l.Op, printable(strings.Join(l.Norms, ", ")), l.Weight.worst(), l.Weight.share(), l.Bias.worst(), verdict}
}

// complaints is what is wrong, a line each.
func (r *Result) complaints() (lines []string) {
	for _, l := range r.Layers {
		for _, p := range l.Problems {
			lines = append(lines, fmt.Sprintf("wrong: %s: %s", printable(l.Name), printable(p)))
		}
	}
	for _, d := range r.Differences {
		if r.Untold {
			lines = append(lines, "cannot tell: "+printable(d.What))
			continue
		}
		lines = append(lines, d.line())
	}
	return lines
}

// writeComplaints writes what is wrong, and last what may be the reason.
func (r *Result) writeComplaints(b *strings.Builder, indent string, most int) {
	writeFirst(b, indent, r.complaints(), most)
	if r.Hint != "" {
		fmt.Fprintf(b, "%shint: %s\n", indent, r.Hint)
	}
}

func (d Difference) line() string {
	return fmt.Sprintf("different: %s: %s", printable(d.Where), printable(d.What))
}

// writeFirst writes lines, and where there are more than most, how many it left out.
func writeFirst(b *strings.Builder, indent string, lines []string, most int) {
	if most > 0 && len(lines) > most+1 {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more", len(lines)-most))
	}
	for _, l := range lines {
		fmt.Fprintf(b, "%s%s\n", indent, l)
	}
}

// Summary is the result in a line.
func (r *Result) Summary() string {
	s := fmt.Sprintf("%s in %s", count(r.Folded, "norm"), count(len(r.Layers), "layer"))
	switch {
	case r.Untold:
		return "which layers took the norms is unknown"
	case !r.OK():
		return fmt.Sprintf("%s, %d of them wrong, %s", s, r.Wrong(), count(len(r.Differences), "other difference"))
	case len(r.Layers) == 0:
		return fmt.Sprintf("nothing was folded: it has %s as before, and nothing changed", count(r.Kept, "norm"))
	}
	return fmt.Sprintf("%s: all right, weights to %.3f units in the last place, nothing else changed", s, r.worst().Worst)
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// worst is the weight that is the furthest from what it should be.
func (r *Result) worst() (worst Deviation) {
	for _, l := range r.Layers {
		if l.Weight.Worst >= worst.Worst {
			worst = l.Weight
		}
	}
	return worst
}

// WriteJSON writes the result with all it holds, and whether it is OK.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		*Result
		OK bool `json:"ok"`
	}{r, r.OK()})
}

// MarshalJSON writes null for a distance that is infinite, which JSON has no number for.
func (e Deviation) MarshalJSON() ([]byte, error) {
	type plain Deviation
	out := struct {
		plain
		Worst *float64 `json:"worst"`
	}{plain: plain(e)}
	if !math.IsInf(e.Worst, 0) && !math.IsNaN(e.Worst) {
		out.Worst = &e.Worst
	}
	return json.Marshal(out)
}

func (e Deviation) worst() string {
	switch {
	case e.Tensor == "":
		return "none"
	case e.Worst > 0 && e.Worst < 1e-3 || e.Worst >= 1e6:
		return fmt.Sprintf("%.2g", e.Worst)
	}
	return fmt.Sprintf("%.3f", e.Worst)
}

// share is the part of the values that are the nearest to the exact ones.
func (e Deviation) share() string {
	if e.Values == 0 {
		return ""
	}
	if e.Rounded == e.Values {
		return "all"
	}
	return fmt.Sprintf("%.4f %%", 100*float64(e.Rounded)/float64(e.Values))
}
