package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table" // knows the width of every character and wraps; text/tabwriter does neither
	"github.com/jedib0t/go-pretty/v6/text"
)

// minWidth is what the last column keeps on a narrow terminal.
const minWidth = 30

// WriteTable writes a row for every norm. width is that of the terminal, within which the last column is
// wrapped; 0 wraps nothing.
func (m *Model) WriteTable(w io.Writer, width int) error {
	if len(m.Norms) == 0 {
		return nil
	}
	t := table.NewWriter()
	t.SetStyle(plainStyle())
	t.AppendHeader(table.Row{"NORM", "KIND", "CHANNELS", "EPS", "SCALE", "WHERE IT GOES"})
	var widths [5]int // of all columns but the last
	for i := range m.Norms {
		cells := m.Norms[i].cells()
		row := make(table.Row, len(cells))
		for j, c := range cells {
			row[j] = c
			if j < len(widths) {
				widths[j] = max(widths[j], text.StringWidth(c))
			}
		}
		t.AppendRow(row)
	}
	last := table.ColumnConfig{Number: 6}
	if width > 0 {
		for _, used := range widths {
			width -= used + len(gap)
		}
		last.WidthMax, last.WidthMaxEnforcer = max(width, minWidth), text.WrapSoft
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, Align: text.AlignRight, AlignHeader: text.AlignRight}, last})
	for line := range strings.Lines(t.Render() + "\n") {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
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
	if !n.WrittenOut() {
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
