package host

import "github.com/bnfuse/bnfuse/fuse"

// columnTile is how many columns of a weight stored [in, out] are summed side by side: so few that all
// their lanes stay in the first-level cache.
const columnTile = 96

// contract does one contraction.
func (t *table) contract(slab []byte, c *fuse.Contraction) {
	b := slab[c.Offset : c.Offset+c.Elems*c.DType.Size()]
	switch {
	case len(b) == 0:
	case c.PerInner:
		t.contractColumns(b, c)
	default:
		t.contractRows(b, c)
	}
}

// contractRows sums weights whose rows are outputs, as a convolution's: term i of an output is element i
// of its row.
func (t *table) contractRows(b []byte, c *fuse.Contraction) {
	v, size := c.View, c.DType.Size()
	row := v.Channels * v.Inner
	for at := c.First; len(b) > 0; {
		output, term := at/row, at%row
		elems := min(row-term, len(b)/size)
		shift := c.Shift[output/v.Outer*v.Channels:][:v.Channels]
		lanes := c.Lanes[output*fuse.NumLanes:][:fuse.NumLanes]
		if v.Inner >= uniformMin {
			elems = min(elems, v.Inner-term%v.Inner)
			t.setOne(shift[term/v.Inner], fuse.Float64)
			t.addRow(lanes, term, c.DType, b[:elems*size], 0)
		} else {
			run := term / v.Inner
			runs := min(maxRuns(v.Inner), v.Channels-run)
			elems = min(elems, (run+runs)*v.Inner-term)
			t.setRuns(shift, run, runs, v.Inner)
			t.spreadWide()
			t.addRow(lanes, term, c.DType, b[:elems*size], term-run*v.Inner)
		}
		b = b[elems*size:]
		at += elems
	}
}

// addRow adds the products of the weights in b, which start with the given term, with the table's
// elements at, at+1 … to the lanes of their output.
func (t *table) addRow(lanes []float64, term int, dt fuse.DType, b []byte, at int) {
	for len(b) > 0 {
		n := min(len(b)/dt.Size(), tableElems)
		widen(t.weights[:n], dt, b)
		addProducts(lanes, term%fuse.NumLanes, t.weights[:n], t.wide[at*t.step:], t.step)
		b = b[n*dt.Size():]
		term += n
		at += n
	}
}

// contractColumns sums weights whose columns are outputs, as those of a matrix product: term i of an
// output is row i's element in its column.
func (t *table) contractColumns(b []byte, c *fuse.Contraction) {
	width, size := c.View.Inner, c.DType.Size()
	end := c.First + len(b)/size
	for column := 0; column < width; column += columnTile {
		for row := c.First / width; row*width < end; row++ {
			from := max(row*width+column, c.First)
			to := min(row*width+min(column+columnTile, width), end)
			if from >= to {
				continue
			}
			weights := t.weights[:to-from]
			widen(weights, c.DType, b[(from-c.First)*size:])
			shift, lane := c.Shift[row], (from-row*width)*fuse.NumLanes+row%fuse.NumLanes
			for _, w := range weights {
				c.Lanes[lane] += float64(w * shift)
				lane += fuse.NumLanes
			}
		}
	}
}
