package host

import "github.com/bnfuse/bnfuse/fuse"

// tableElems is how many elements a table covers: enough that filling it costs little a call, few enough
// that it stays in the first-level cache beside the weights. There is room for some runs more, which are the
// first again.
const (
	tableElems = 8 * uniformMin
	tableRoom  = 2 * tableElems
)

const wideBlock = 32 // how many elements the widest loops do, or leave, at a time

// table says which scale belongs to each of some elements of a weight. They come in runs of inner
// elements of one channel. The multiplying loops want a scale an element, as float64 (wide) or as float32
// (narrow), in two parts for float32 weights; only what they will read is filled in. One scale for every
// element is the table of a single, endless run.
//
// The arrays come first, in this and in worker: so large a thing begins with a page, and vectors with a line of the
// cache. A vector in two lines takes twice as long to load.
type table struct {
	copied [tableRoom]float64
	runs32 [2 * tableRoom]float32
	each   [tableRoom]float64
	each32 [2 * tableRoom]float32

	weights [tableElems]float64 // of a contraction, widened

	inner  int       // element i belongs to run i/inner
	elems  int       // how many elements there are; in one of setRound, element elems+i is element i again
	step   int       // element i's scale is wide[i·step] or narrow[i·step]: 1, or 0 for one scale
	byRun  bool      // or nothing is spread: run r's scale is runs[r] or narrow[r]
	wide   []float64 // nil where narrow or byRun does, until it is wanted all the same
	narrow []float32 // nil where a scale does not suit float32; a second part is tableRoom further on

	runs  []float64 // the scale of each run, and others behind these; not to be written to
	nRuns int       // rounded up to a multiple of 8
	asm   assembly
}

// endless is the inner of a table of one scale.
const endless = maxInt

// setOne makes the table one of a single scale, for weights of the type.
func (t *table) setOne(s float64, dt fuse.DType) {
	t.inner, t.elems, t.step, t.byRun = endless, endless, 0, false
	t.copied[0] = s
	t.runs = t.copied[:1]
	t.wide, t.narrow = t.runs, nil
	if narrowOne(dt, &t.runs32[0], s) {
		t.narrow = t.runs32[:1]
	}
}

// maxRuns is how many runs of inner elements a table holds, spread: a multiple of 8, and of 32 where there are that
// many, for then the elements are a whole number of every block. It is 0 where not even eight have room.
func maxRuns(inner int) int {
	n := tableElems / inner
	if n >= 32 {
		return n &^ 31
	}
	return n &^ 7
}

// readAhead is how many scales are read from that of a run on, at most, though fewer are needed.
const readAhead = 16

// How many runs a table has if it does not spread them: a multiple of 32, too.
const (
	mostByRun = tableElems - 32 // so many that most rows are one tile, read in one go
	onceByRun = 256             // of tiles used once: so few that the weights need not wait for many scales to be read
)

// setRuns makes the table one of n runs of inner elements. The runs' scales are values[first],
// values[first+1] …, and from the start again behind the last.
func (t *table) setRuns(values []float64, first, n, inner int) {
	t.fillRuns(values, first, n, inner)
	t.elems = n * inner
}

// setRound is setRuns for all values, so many times over, if n is a multiple of how many there are, to go round
// and round: as many runs again as a block is in that begins with the last element.
func (t *table) setRound(values []float64, n, inner int) {
	t.fillRuns(values, 0, n+(wideBlock-2)/inner+1, inner)
	t.elems = n * inner
}

func (t *table) fillRuns(values []float64, first, n, inner int) {
	t.inner, t.step = inner, 1
	t.nRuns = (n + 7) &^ 7
	if end := first + t.nRuns + readAhead; end <= len(values) {
		t.runs = values[first:end]
		return
	}
	t.runs = t.copied[:]
	for i := 0; i < n; {
		i += copy(t.runs[i:n], values[(first+i)%len(values):])
	}
	clear(t.runs[n:t.nRuns])
}

// prepare fills in what multiplying weights of the type will read; with byRun the runs' scales are not spread.
func (t *table) prepare(dt fuse.DType, byRun bool) {
	t.byRun, t.wide, t.narrow = byRun, nil, nil
	if byRun {
		t.asm.prepareByRun(t.inner)
	}
	suits := narrowRuns(dt, &t.runs32, t.runs, t.nRuns)
	switch {
	case byRun && suits:
		t.narrow = t.runs32[:]
	case byRun:
	case suits:
		t.spreadNarrow(dt)
	default:
		t.spreadWide()
	}
}

// spreadNarrow fills narrow from the runs.
func (t *table) spreadNarrow(dt fuse.DType) {
	if t.narrow = t.runs32[:]; t.inner > 1 {
		t.asm.spread32(t.each32[:tableRoom], t.runs32[:tableRoom], t.nRuns, t.inner)
		if dt == fuse.Float32 {
			t.asm.spread32(t.each32[tableRoom:], t.runs32[tableRoom:], t.nRuns, t.inner)
		}
		t.narrow = t.each32[:]
	}
}

// spreadWide fills wide from the runs.
func (t *table) spreadWide() {
	if t.wide = t.runs; t.inner > 1 {
		t.asm.spread64(&t.each, t.runs, t.nRuns, t.inner)
		t.wide = t.each[:]
	}
}
