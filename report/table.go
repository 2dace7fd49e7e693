package report

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table" // knows the width of every character and wraps; text/tabwriter does neither
	"github.com/jedib0t/go-pretty/v6/text"
)

// On a narrow terminal the last column keeps minWidth, the first one fewest, and below widthForKind the norms' kind,
// which is mostly the same for all, gives way.
const (
	minWidth     = 24
	fewest       = 20
	widthForKind = 100
)

// WriteTable writes a row for every norm. width is that of the terminal, within which the last column is
// wrapped, and if need be the first; 0 wraps nothing.
func (m *Model) WriteTable(w io.Writer, width int) error {
	rows := [][]string{{"NORM", "KIND", "CHANNELS", "EPS", "SCALE", "WHERE IT GOES"}}
	for i := range m.Norms {
		rows = append(rows, m.Norms[i].cells())
	}
	channels := 3
	if width > 0 && width < widthForKind {
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 1, 2)
		}
		channels--
	}
	return writeTable(w, width, rows[0], rows[1:], channels)
}

// WriteTable writes a row for every model, as [Model.WriteTable] does for every norm.
func (z *Zoo) WriteTable(w io.Writer, width int) error {
	head := []string{"MODEL", "FORMAT", "NORMS", "FOLDED", "WHAT STAYS"}
	if z.Output == "" {
		head[3] = "TO FOLD"
	}
	var rows [][]string
	for _, m := range z.Models {
		row := m.cells()
		if name, err := filepath.Rel(z.Input, m.Input); err == nil && filepath.IsLocal(name) && z.Input != "" {
			row[0] = printable(filepath.ToSlash(name)) // the folder is said elsewhere
		}
		rows = append(rows, row)
	}
	return writeTable(w, width, head, rows, 3, 4)
}

// writeTable writes a table. The columns with the given numbers, from 1, are aligned to the right.
func writeTable(w io.Writer, width int, head []string, rows [][]string, right ...int) error {
	if len(rows) == 0 {
		return nil
	}
	t := table.NewWriter()
	t.SetStyle(plainStyle())
	t.AppendHeader(toRow(head))
	used := make([]int, len(head)-1) // by all columns but the last
	for _, cells := range append([][]string{head}, rows...) {
		for i := range used {
			used[i] = max(used[i], text.StringWidth(cells[i]))
		}
	}
	for _, cells := range rows {
		t.AppendRow(toRow(cells))
	}
	first, last := table.ColumnConfig{Number: 1}, table.ColumnConfig{Number: len(head)}
	if width > 0 {
		for _, n := range used {
			width -= n + len(gap)
		}
		if width < minWidth {
			first.WidthMax, first.WidthMaxEnforcer = max(used[0]-(minWidth-width), fewest), wrapName
		}
		last.WidthMax, last.WidthMaxEnforcer = max(width, minWidth), text.WrapSoft
	}
	columns := []table.ColumnConfig{first, last}
	for _, n := range right {
		columns = append(columns, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	for line := range strings.Lines(t.Render() + "\n") {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// wrapName breaks a name after slashes, and within what is too long between two.
func wrapName(name string, width int) string {
	var b strings.Builder
	used := 0
	for part := range strings.SplitAfterSeq(name, "/") {
		n := text.StringWidth(part)
		if used > 0 && used+n > width {
			b.WriteByte('\n')
			used = 0
		}
		b.WriteString(text.WrapHard(part, width))
		used += n // more than the width where part was broken: the next begins a line
	}
	return b.String()
}

func toRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, c := range cells {
		row[i] = c
	}
	return row
}

// gap stands between two columns.
const gap = "  "

// plainStyle draws no lines, so that the table can be cut and searched.
func plainStyle() table.Style {
	return table.Style{
		Box:     table.BoxStyle{MiddleVertical: gap},
		Options: table.Options{SeparateColumns: true},
	}
}

func (n *Norm) cells() []string {
	channels, eps, scale := "", "", ""
	if n.Channels > 0 {
		channels = strconv.Itoa(n.Channels)
	}
	if !n.WrittenOut() && !math.IsNaN(float64(n.Eps)) {
		eps = strconv.FormatFloat(float64(n.Eps), 'g', -1, 32) // the attribute is a float32
	}
	if !math.IsNaN(float64(n.MinScale)) {
		scale = fmt.Sprintf("%.3g … %.3g", n.MinScale, n.MaxScale)
	}
	fate := "stays: " + n.Reason
	if n.Status == Folded {
		fate = n.destination()
	}
	return []string{printable(n.Name), printable(n.Kind), channels, eps, scale, printable(fate)}
}

// cells are a model's row in the table of a zoo. Of the reasons why norms stay it has the most frequent.
func (m *Model) cells() []string {
	row := []string{printable(m.Input), m.Format, "", "", ""}
	if m.outcome() == ModelFailed {
		row[4] = "failed: " + printable(m.cause())
		return row
	}
	row[2], row[3] = strconv.Itoa(m.Folded+m.Kept), strconv.Itoa(m.Folded)
	count, most := map[string]int{}, ""
	for i := range m.Norms {
		if n := &m.Norms[i]; n.Status == Kept {
			g := n.group()
			count[g]++
			if most == "" || count[g] > count[most] {
				most = g
			}
		}
	}
	switch {
	case most != "" && count[most] < m.Kept:
		row[4] = fmt.Sprintf("%d: %s, and %d for other reasons", count[most], printable(most), m.Kept-count[most])
	case most != "":
		row[4] = fmt.Sprintf("%d: %s", count[most], printable(most))
	}
	return row
}
