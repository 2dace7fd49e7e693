package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/bnfuse/bnfuse/fuse"
)

// WrittenOut reports whether the norm is arithmetic by constants, as frozen batch norms are exported.
func (n *Norm) WrittenOut() bool {
	switch n.Kind {
	case "Mul", "Add", "Sub", "Div":
		return true
	}
	return false
}

// Summary is the report in a line: "20 of 20 batch norms folded and 4 per-channel Mul, Add, Sub or Div".
func (m *Model) Summary() string {
	verb := "folded"
	if m.Output == "" {
		verb = "can be folded"
	}
	norms, foldedNorms, foldedArithmetic := m.count()
	var s string
	switch {
	case norms > 0:
		s = fmt.Sprintf("%d of %d batch norms %s", foldedNorms, norms, verb)
		if foldedArithmetic > 0 {
			s += fmt.Sprintf(" and %d per-channel Mul, Add, Sub or Div", foldedArithmetic)
		}
	case foldedArithmetic > 0:
		s = fmt.Sprintf("%d per-channel Mul, Add, Sub or Div %s", foldedArithmetic, verb)
	default:
		s = "no batch norms found"
		if m.Note != "" {
			s += " (" + m.Note + ")"
		}
	}
	switch {
	case m.Folded > 0 || m.Output == "":
	case m.Format == "pytorch":
		s += ", written as safetensors"
	default:
		s += ", copied as it is"
	}
	return s
}

func (m *Model) count() (norms, foldedNorms, foldedArithmetic int) {
	for i := range m.Norms {
		n := &m.Norms[i]
		isFolded := n.Status == Folded
		switch {
		case n.WrittenOut() && isFolded:
			foldedArithmetic++
		case !n.WrittenOut():
			norms++
			if isFolded {
				foldedNorms++
			}
		}
	}
	return norms, foldedNorms, foldedArithmetic
}

// Where more norms than maxListed stay for the same reason, the first few stand for them; and where more than
// numExamples stay for the same one to the last detail, the first alone.
const (
	maxListed   = 10
	numExamples = 3
)

// WriteKept lists the kept norms with their reasons, one a line. Of many with the same reason it gives a
// few and the number of the others, unless all are asked for.
func (m *Model) WriteKept(w io.Writer, all bool) error {
	same, total, seen := map[string]int{}, map[string]int{}, map[string]int{} // same by reason, the others by group
	for i := range m.Norms {
		if n := &m.Norms[i]; n.Status == Kept {
			same[n.Reason]++
			total[n.group()]++
		}
	}
	for i := range m.Norms {
		n := &m.Norms[i]
		if n.Status != Kept {
			continue
		}
		g, alike := n.group(), same[n.Reason]
		seen[g]++
		var err error
		switch {
		case !all && alike > numExamples && alike == total[g]:
			if seen[g] == 1 {
				_, err = fmt.Fprintf(w, "  kept %s and %d more, each: %s (-v lists them)\n", printable(n.Name), alike-1, printable(n.Reason))
			}
		case all || total[g] <= maxListed || seen[g] <= numExamples:
			_, err = fmt.Fprintf(w, "  kept %s: %s\n", printable(n.Name), printable(n.Reason))
		case seen[g] == total[g]:
			_, err = fmt.Fprintf(w, "  kept %d more: %s (-v lists them)\n", total[g]-numExamples, printable(g))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// group is the reason without its detail.
func (n *Norm) group() string {
	g, _, _ := strings.Cut(n.Reason, ": ")
	return g
}

// printable keeps a model's names from moving the cursor or ending the line.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToGraphic(s)
	}
	return s
}

// cause is why the model failed, without the package and the path that an error begins with: they stand beside it.
func (m *Model) cause() string {
	if _, rest, ok := strings.Cut(m.Error, ": "+m.Input+": "); ok {
		return rest
	}
	return m.Error
}

// WriteFolded lists the folded norms with their layers, one a line; of a dry run those that would be.
func (m *Model) WriteFolded(w io.Writer) error {
	verb := "folded"
	if m.Output == "" {
		verb = "would fold"
	}
	for i := range m.Norms {
		n := &m.Norms[i]
		if n.Status != Folded {
			continue
		}
		if _, err := fmt.Fprintf(w, "  %s %s %s\n", verb, printable(n.Name), printable(n.destination())); err != nil {
			return err
		}
	}
	return nil
}

// destination is where a folded norm went: "into Conv conv1".
func (n *Norm) destination() string {
	if n.Direction == fuse.Before.String() {
		return fmt.Sprintf("into the following %s %s", n.LayerKind, n.Layer)
	}
	return fmt.Sprintf("into %s %s", n.LayerKind, n.Layer)
}

// Summary is the report in a line: "21 models: 20 fused, 1 copied, 0 failed; 1005 of 1067 norms folded".
func (z *Zoo) Summary() string {
	t := z.Totals
	format := "%s: %d fused, %d copied, %d failed; %d of %d norms folded"
	if z.Input != "" && z.Output == "" {
		format = "%s: %d can be fused, %d without anything to fold, %d failed; %d of %d norms can be folded"
	}
	s := fmt.Sprintf(format, counted(t.Models, "model"), t.Fused, t.Copied, t.Failed, t.Folded, t.Folded+t.Kept)
	if t.Warnings > 0 {
		s += ", " + counted(t.Warnings, "warning")
	}
	return s
}

// counted is "1 model" or "2 models".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
