package verify

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text" // knows how wide a character is
)

const gap = "  " // between two columns

// writeColumns aligns the cells of rows. On a terminal that is too narrow the first column gives way, but for a
// few characters.
func writeColumns(b *strings.Builder, width int, rows [][]string) {
	const fewest = 12
	widths := columnWidths(rows)
	if over := total(widths) - width; width > 0 && over > 0 {
		widths[0] = max(widths[0]-over, min(widths[0], fewest))
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(text.Pad(ending(cell, widths[i]), widths[i], ' ') + gap)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], text.StringWidth(cell))
		}
	}
	return widths
}

// total is the width of a table.
func total(widths []int) int {
	n := len(gap) * (len(widths) - 1)
	for _, w := range widths {
		n += w
	}
	return n
}

// ending is what of a name fits: its end, which tells it from others better than its beginning.
func ending(name string, width int) string {
	over := text.StringWidth(name) - width
	if over <= 0 {
		return name
	}
	for i, r := range name {
		if over < 0 { // room for the ellipsis
			return "…" + name[i:]
		}
		over -= text.RuneWidth(r)
	}
	return "…"
}

// printable keeps names from files from changing the terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToGraphic(s)
	}
	return s
}
