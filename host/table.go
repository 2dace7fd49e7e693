package host

// tableElems is how many elements a table covers: enough that filling it costs little a call, few enough
// that it stays in the first-level cache beside the weights.
const tableElems = 8 * uniformMin

// table says which scale belongs to each of some elements of a weight. They come in runs of inner
// elements of one channel. The multiplying loops want a scale an element, as float64 (wide) or, for the
// half types, as float32 (narrow); only what they will read is filled in. One scale for every element
// is the table of a single, endless run.
type table struct {
	inner  int       // element i belongs to run i/inner
	step   int       // element i's scale is wide[i·step] or narrow[i·step]: 1, or 0 for one scale
	byRun  bool      // or nothing is spread: run r's scale is runs[r] or narrow[r]
	wide   []float64 // nil where narrow or byRun does
	narrow []float32 // nil where a scale does not suit float32

	runs   []float64 // the scale of each run, and others behind these; not to be written to
	nRuns  int       // rounded up to a multiple of 8
	copied [tableElems]float64
	runs32 [tableElems]float32
	each   [tableElems]float64
	each32 [tableElems]float32
	asm    assembly

	weights [tableElems]float64 // of a contraction, widened
}

// endless is the inner of a table of one scale.
const endless = maxInt

// setOne makes the table one of a single scale, for weights of nBytes each.
func (t *table) setOne(s float64, nBytes int) {
	t.inner, t.step, t.byRun = endless, 0, false
	t.copied[0] = s
	t.runs = t.copied[:1]
	t.wide, t.narrow = t.runs, nil
	if nBytes == 2 && narrowOne(&t.runs32[0], s) {
		t.narrow = t.runs32[:1]
	}
}

// maxRuns is how many runs of inner elements a table holds: a multiple of 8, at least 8, and of 32 where
// there are that many, for then the elements are a whole number of every block.
func maxRuns(inner int) int {
	n := tableElems / inner
	if n >= 32 {
		return n &^ 31
	}
	return n &^ 7
}

// readAhead is how many scales are read from that of a run on, though fewer are needed.
const readAhead = 16

// How many runs a table has if it does not spread them: a multiple of 32, too.
const (
	mostByRun = tableElems - 32 // room for a vector more; so many that most rows are one tile, read in one go
	onceByRun = 256             // of tiles used once: so few that the weights need not wait for many scales to be read
)

// setRuns makes the table one of n runs of inner elements. The runs' scales are values[first],
// values[first+1] …, and from the start again behind the last.
func (t *table) setRuns(values []float64, first, n, inner int) {
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

// prepare fills in what multiplying weights of nBytes each will read; with byRun the runs' scales are not spread.
func (t *table) prepare(nBytes int, byRun bool) {
	t.byRun, t.wide, t.narrow = byRun, nil, nil
	if byRun {
		t.asm.prepareByRun(t.inner)
	}
	suits := nBytes == 2 && narrowRuns(&t.runs32, t.runs, t.nRuns)
	switch {
	case byRun && suits:
		t.narrow = t.runs32[:]
	case byRun:
	case suits:
		t.spreadNarrow()
	default:
		t.spreadWide()
	}
}

// spreadNarrow fills narrow from the runs.
func (t *table) spreadNarrow() {
	if t.narrow = t.runs32[:]; t.inner > 1 {
		t.asm.spread32(&t.each32, &t.runs32, t.nRuns, t.inner)
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
