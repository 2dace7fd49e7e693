package report

import (
	"math"
	"strconv"
	"strings"
)

// The page holds its data as JSON that is packed, because a hundred thousand norms are to fit in a few
// megabytes: a fate, a name or a word of a name that comes again is given by its number, and a histogram is a
// short text. data.js unpacks it.

// packed is what the page reads.
type packed struct {
	Input   string        `json:"input"`
	Output  string        `json:"output"`
	Engine  string        `json:"engine"`
	Version string        `json:"version"`
	Shard   string        `json:"shard"`
	Totals  Totals        `json:"totals"`
	Scales  string        `json:"scales"` // of all norms together; as in a norm
	Reasons []reasonCount `json:"reasons"`
	Models  []packedModel `json:"models"`
	Fates   []fate        `json:"fates"`
	Names   []string      `json:"names"` // each is the numbers of its words
	Words   []string      `json:"words"`

	Warnings []string `json:"warnings,omitempty"` // of no single model
}

// packedModel is a model whose norms are packed, and what the table of models says of them.
type packedModel struct {
	*Model
	Cause   string        `json:"cause,omitempty"` // the error's end
	Norms   [][]any       `json:"norms"`
	Reasons []reasonCount `json:"reasons"`
	Dead    int           `json:"dead"`
	Huge    int           `json:"huge"`
}

// reasonCount says how many norms stay for a reason.
type reasonCount struct {
	Reason string `json:"reason"`
	Norms  int    `json:"norms"`
}

// fate is what many norms have in common.
type fate struct {
	Kind      string `json:"kind"`
	Eps       string `json:"eps"`
	LayerKind string `json:"layer_kind"`
	Direction string `json:"direction"`
	Status    string `json:"status"`
	Reason    string `json:"reason"` // without the detail
}

// packer numbers names, words and fates in the order of their first use.
type packer struct {
	names numbered[string]
	words numbered[string]
	fates numbered[fate]
	out   packed
}

// numbered gives equal values the same number, from 0 on.
type numbered[T comparable] map[T]int

func (n numbered[T]) number(value T) (i int, first bool) {
	i, ok := n[value]
	if !ok {
		i = len(n)
		n[value] = i
	}
	return i, !ok
}

func pack(z *Zoo) packed {
	p := &packer{names: numbered[string]{}, words: numbered[string]{}, fates: numbered[fate]{}, out: packed{
		Input: z.Input, Output: z.Output, Engine: z.Engine, Version: z.Version, Shard: z.Shard, Totals: z.Totals, Warnings: z.Warnings,
		Models: make([]packedModel, 0, len(z.Models)), Reasons: []reasonCount{}, Fates: []fate{}, Names: []string{}, Words: []string{},
	}}
	var all Histogram
	for _, m := range z.Models {
		one := p.model(m)
		for _, r := range one.Reasons {
			p.out.Reasons = count(p.out.Reasons, r)
		}
		for i := range m.Norms {
			if n := &m.Norms[i]; !n.WrittenOut() {
				all.add(n.Scales)
			}
		}
		p.out.Models = append(p.out.Models, one)
	}
	p.out.Scales = all.pack()
	return p.out
}

func (p *packer) model(m *Model) packedModel {
	one := packedModel{Model: m, Cause: m.cause(), Norms: make([][]any, 0, len(m.Norms)), Reasons: []reasonCount{}}
	for i := range m.Norms {
		n := &m.Norms[i]
		one.Norms = append(one.Norms, p.norm(n))
		one.Dead += n.Scales.Dead()
		one.Huge += n.Scales.Huge()
		if n.Status == Kept {
			one.Reasons = count(one.Reasons, reasonCount{n.group(), 1})
		}
	}
	return one
}

// count adds to the count of a reason. There are some dozens of reasons.
func count(list []reasonCount, r reasonCount) []reasonCount {
	for i := range list {
		if list[i].Reason == r.Reason {
			list[i].Norms += r.Norms
			return list
		}
	}
	return append(list, r)
}

// norm is name, fate, channels, layer, and then the detail of a kept norm, or the extreme scales and the
// histogram of a folded one.
func (p *packer) norm(n *Norm) []any {
	f := fate{Kind: n.Kind, LayerKind: n.LayerKind, Direction: n.Direction, Status: n.Status, Reason: n.group()}
	switch {
	case n.WrittenOut(): // has none
	case math.IsNaN(float64(n.Eps)):
		f.Eps = "?"
	default:
		f.Eps = strconv.FormatFloat(float64(n.Eps), 'g', -1, 32) // the attribute is a float32
	}
	fields := []any{p.name(n.Name), p.fate(f), n.Channels, p.name(n.Layer)}
	if n.Status == Kept {
		_, detail, _ := strings.Cut(n.Reason, ": ")
		return append(fields, p.name(detail))
	}
	return append(fields, short(n.MinScale), short(n.MaxScale), n.Scales.pack())
}

// name numbers a name. Its words end with a slash or a dot: few are of one model alone.
func (p *packer) name(name string) int {
	i, first := p.names.number(name)
	if !first {
		return i
	}
	var b []byte
	for rest := name; rest != ""; {
		end := strings.IndexAny(rest, "/.") + 1
		if end == 0 {
			end = len(rest)
		}
		w, first := p.words.number(rest[:end])
		if first {
			p.out.Words = append(p.out.Words, rest[:end])
		}
		b = appendVLQ(b, w)
		rest = rest[end:]
	}
	p.out.Names = append(p.out.Names, string(b))
	return i
}

func (p *packer) fate(f fate) int {
	i, first := p.fates.number(f)
	if first {
		p.out.Fates = append(p.out.Fates, f)
	}
	return i
}

// short is a number that the page shows with four digits.
type short float64

// MarshalJSON writes what is not finite as null.
func (x short) MarshalJSON() ([]byte, error) {
	if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(x), 'g', 4, 64), nil
}

// pack writes the histogram as text: Zero, First − minBin and the counts, each as the base-64 digits of the
// number, least first, five bits a digit, where the sixth says that another follows (the "VLQ" of source
// maps, without its sign). A missing one is "".
func (h *Histogram) pack() string {
	if h == nil || h.Zero == 0 && len(h.Counts) == 0 {
		return ""
	}
	b := make([]byte, 0, 3+2*len(h.Counts))
	b = appendVLQ(b, h.Zero)
	b = appendVLQ(b, h.First-minBin)
	for _, n := range h.Counts {
		b = appendVLQ(b, n)
	}
	return string(b)
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func appendVLQ(b []byte, n int) []byte {
	for ; n >= 32; n >>= 5 {
		b = append(b, base64Digits[32|n&31])
	}
	return append(b, base64Digits[n])
}
