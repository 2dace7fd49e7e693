package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// table is a part of the page: the benchmarks of one name, with those of their values that count.
type table struct {
	benchmark string
	title     string
	words     string
	columns   []column
}

// column is a value under a heading. A ratio comes with its quartiles.
type column struct{ heading, unit string }

var tables = []table{
	{"File", "File to file", "`bnfuse fuse` as a process, with the input in the page cache, beside `cp --reflink=never` of the same file: its time divided by cp's, " +
		"the median of alternating runs and in parentheses the quartiles. The last ratios are how many times as long others take to load, fold and save " +
		"the same file: ONNX Runtime's offline optimization, and PyTorch's `fuse_conv_bn_eval` over the network. First for that work alone, beside the " +
		"library's `FuseFile`, without the start of node, Python, their libraries or bnfuse, and without building PyTorch's network; then for whole processes.",
		[]column{{"MB", "MB"}, {"ms", "ms"}, {"of cp's time", "x-cp"}, {"ONNX Runtime", "ort-x"}, {"its process", "ort-process-x"}, {"PyTorch", "torch-x"}, {"its process", "torch-process-x"},
			{"peak memory, MB", "MB-peak"}, {"load", "load"}}},
	{"Write", "The way into the page cache", "100 MB into a new file, by writes of 1 MiB from a buffer in the cache, by where these begin in the file, and in memory behind a page: " +
		"the time divided by that of writes where both begin at multiples of 1 MiB.",
		[]column{{"ms", "ms"}, {"of the aligned time", "x-aligned"}, {"load", "load"}}},
	{"Sparse", "External data of 20 GB", "A sparse file with a little data in it, of which a tenth is scaled. Holes stay holes.",
		[]column{{"ms", "ms"}, {"peak memory, MB", "MB-peak"}, {"written to the disk, MB", "MB-written"}, {"load", "load"}}},
	{"Small", "Small models", "Whole processes. /bin/true is what starting one costs.",
		[]column{{"ms", "ms"}, {"of cp's time", "x-cp"}, {"of /bin/true's time", "x-true"}, {"peak memory, MB", "MB-peak"}, {"load", "load"}}},
	{"Zoo", "Zoos", "`bnfuse zoo` of 2,000 small models beside `cp -r` of the same folder, and beside `cp -r` with a sync of every file: " +
		"the zoo's journal promises that what it lists is on the disk. Then beside a loop of `cp`, a process a file. `real` is the folder of real models, " +
		"checkpoints and their graphs side by side.",
		[]column{{"models a second", "models/s"}, {"MB/s", "MB-in/s"}, {"of cp -r's time", "x-cp"}, {"of cp -r's with syncs", "x-cp-synced"}, {"of a loop of cp's", "x-cp-loop"}, {"peak memory, MB", "MB-peak"}, {"load", "load"}}},
	{"Graph", "Graphs", "The library, file to file. The exponent is how time grows from the smallest size of a row's kind to this one: 1 is linear. " +
		"Memory is the peak of a process beyond that of a small model.",
		[]column{{"ns a node", "ns/node"}, {"exponent", "exponent"}, {"bytes a node", "B/node"}, {"peak memory, MB", "MB-peak"}, {"load", "load"}}},
	{"Network", "A network in memory", "`nn.FuseBN` of the 53 convolutions of a ResNet-50 and their norms, into a copy of the network, and how many times as long PyTorch's " +
		"`fuse_conv_bn_eval` takes for the same.",
		[]column{{"MB", "MB"}, {"ms", "ms"}, {"PyTorch", "torch-x"}, {"load", "load"}}},
	{"Host", "The CPU engine", "Weights in memory, as a rate by bytes, divided by that of a C loop `w[i] = s*w[i]` over float32 (gcc -O3 -march=native) on as many threads, " +
		"by that of one that has the engine's scales, `w[c][k] = s[c]*w[c][k]`, and by that of memcpy. `memory` is larger than every cache, `slab` is what files go through. `inner` is how many weights in a row share a scale.",
		[]column{{"GB/s", "GB/s"}, {"of the C loop's rate", "of-C"}, {"of a C loop's by channel", "of-channels"}, {"of memcpy's", "of-memcpy"}}},
}

// write writes the tables that have rows.
func (m *measurement) write(b *strings.Builder) {
	for _, t := range tables {
		var rows []row
		for _, r := range m.rows {
			if name, rest, _ := strings.Cut(r.name, "/"); name == t.benchmark {
				rows = append(rows, row{rest, r.values})
			}
		}
		if len(rows) > 0 {
			t.write(b, rows)
		}
	}
	for _, text := range m.leftOut {
		fmt.Fprintf(b, "- %s\n", text)
	}
}

// write writes the table without the columns that are empty.
func (t table) write(b *strings.Builder, rows []row) {
	columns := slices.DeleteFunc(slices.Clone(t.columns), func(c column) bool {
		return !slices.ContainsFunc(rows, func(r row) bool { _, ok := r.values[c.unit]; return ok })
	})
	fmt.Fprintf(b, "## %s\n\n%s\n\n|", t.title, t.words)
	for _, c := range columns {
		fmt.Fprintf(b, " | %s", c.heading)
	}
	fmt.Fprintf(b, " |\n|---%s|\n", strings.Repeat("|---:", len(columns)))
	for _, r := range rows {
		fmt.Fprintf(b, "| %s", r.name)
		for _, c := range columns {
			fmt.Fprintf(b, " | %s", r.cell(c.unit))
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\n")
}

// cell is a value, with its quartiles where it has them.
func (r row) cell(unit string) string {
	x, ok := r.values[unit]
	if !ok {
		return ""
	}
	q1, spread := r.values[unit+"-q1"]
	if !spread {
		return number(x)
	}
	return fmt.Sprintf("%s (%s–%s)", number(x), number(q1), number(r.values[unit+"-q3"]))
}

// number writes three digits that count.
func number(x float64) string {
	switch {
	case math.Abs(x) >= 100:
		return fmt.Sprintf("%.0f", x)
	case math.Abs(x) >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}
