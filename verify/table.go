package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WriteTable writes a row for every layer that took norms, and what is wrong below.
//
//	LAYER  OP  NORMS  WEIGHT  WORST  ROUNDED  BIAS  WORST  VERDICT
func (r *Result) WriteTable(w io.Writer) error {
	rows := [][]string{{"LAYER", "OP", "NORMS", "WEIGHT ULP", "ROUNDED", "BIAS ULP", "VERDICT"}}
	for _, l := range r.Layers {
		verdict := "right"
		if len(l.Problems) > 0 {
			verdict = "WRONG"
		}
		rows = append(rows, []string{printable(l.Name), l.Op, printable(strings.Join(l.Norms, ", ")),
			l.Weight.worst(), l.Weight.share(), l.Bias.worst(), verdict})
	}
	var b strings.Builder
	if len(r.Layers) > 0 {
		writeColumns(&b, rows)
	}
	for _, l := range r.Layers {
		for _, p := range l.Problems {
			fmt.Fprintf(&b, "wrong: %s: %s\n", printable(l.Name), printable(p))
		}
	}
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "different: %s: %s\n", printable(d.Where), printable(d.What))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeColumns aligns the cells of rows.
func writeColumns(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%s%s  ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// Summary is the result in a line.
func (r *Result) Summary() string {
	s := fmt.Sprintf("%d norms in %d layers", r.Folded, len(r.Layers))
	if r.OK() {
		worst := 0.0
		for _, l := range r.Layers {
			worst = max(worst, l.Weight.Worst)
		}
		if len(r.Layers) > 0 {
			s += fmt.Sprintf(": all right, weights to %.3f units in the last place", worst)
		}
		return s + ", nothing else changed"
	}
	return fmt.Sprintf("%s, %d of them wrong, %d other differences", s, r.Wrong(), len(r.Differences))
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
func (e Error) MarshalJSON() ([]byte, error) {
	type plain Error
	out := struct {
		plain
		Worst *float64 `json:"worst"`
	}{plain: plain(e)}
	if !math.IsInf(e.Worst, 0) && !math.IsNaN(e.Worst) {
		out.Worst = &e.Worst
	}
	return json.Marshal(out)
}

func (e Error) worst() string {
	switch {
	case e.Tensor == "":
		return "none"
	case e.Worst > 0 && e.Worst < 1e-3 || e.Worst >= 1e6:
		return fmt.Sprintf("%.2g", e.Worst)
	}
	return fmt.Sprintf("%.3f", e.Worst)
}

// share is the part of the values that are the nearest to the exact ones.
func (e Error) share() string {
	if e.Values == 0 {
		return ""
	}
	if e.Rounded == e.Values {
		return "all"
	}
	return fmt.Sprintf("%.4f %%", 100*float64(e.Rounded)/float64(e.Values))
}

// printable keeps names from files from changing the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
