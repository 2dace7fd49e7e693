//go:build cuda && cgo

package cuda

import (
	"unsafe"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/kernels"
	"gorgonia.org/cu"
)

// norm is struct Norm of affine.cu.
type norm struct {
	gamma, beta, mean, variance cu.DevicePtr
	channels, dtype, firstTile  int64
	eps                         float64
	scale, shift, bounds        cu.DevicePtr
	noShift                     int64
	refused                     cu.DevicePtr
}

// fold is struct Fold of fold.cuh.
type fold struct {
	weight                 segment
	firstTile, weightTiles int64
	kind                   int64
	quick                  cu.DevicePtr
	abreast                int64
	terms                  terms
	bias, newBias          cu.DevicePtr
	biasDType, outputs     int64
	scale, shift           cu.DevicePtr
	result                 cu.DevicePtr
}

// The kinds of fold.cuh.
const (
	kindVectors = iota
	kindRuns
	kindStripes
	kindRows
	kindColumns
)

// columnOutputs is how many outputs a tile of columns has.
const columnOutputs = 2 * kernels.Lanes

// result is struct Result of fold.cuh.
type result struct{ overflows, vanished, biasOverflows, refused uint64 }

// table is n entries of a size at an offset in a model's memory.
type table struct{ at, n, size int }

func (t table) nBytes() int { return t.n * t.size }

// residentPlan is a model's memory: the tables, the results, and the maps that affine computes for fold.
// Pointers into it are offsets until tables gives them a base.
type residentPlan struct {
	norms, folds, firstTiles, results table
	nBytes                            int
	normTiles, foldTiles              int
	kernel                            string // "fold", or "fold_sums" where a layer has a sum

	normRows []norm
	foldRows []fold
	maps     arena // offsets from the end of the tables
}

// affineMap is where a norm's map lies: an offset from the end of the tables, plus one so that 0 is none.
type affineMap struct{ scale, shift, bounds cu.DevicePtr }

// quick is what the kernels' quick way multiplies weights of a type with.
func (m affineMap) quick(dtype fuse.DType) cu.DevicePtr {
	if dtype == fuse.Float16 || dtype == fuse.BFloat16 {
		return m.bounds
	}
	return m.scale
}

// maxElems is how much of a tensor one entry scales; the kernels count elements with 31 bits.
const maxElems = 1 << 30

func planResident(layers []Layer) (*residentPlan, error) {
	p := &residentPlan{kernel: "fold"}
	for i, l := range layers {
		l, err := l.withDefaults()
		if err == nil {
			err = p.addLayer(i, l)
		}
		if err != nil {
			return nil, l.wrap(err)
		}
	}
	p.norms = table{0, len(p.normRows), sizeOf[norm]()}
	p.folds = table{p.norms.nBytes(), len(p.foldRows), sizeOf[fold]()}
	p.firstTiles = table{p.folds.at + p.folds.nBytes(), len(p.foldRows), 8}
	p.results = table{p.firstTiles.at + p.firstTiles.nBytes(), len(layers), sizeOf[result]()}
	p.nBytes = p.results.at + p.results.nBytes() + p.maps.nBytes
	return p, nil
}

func (p *residentPlan) addLayer(index int, l Layer) error {
	after, err := l.view(fuse.After)
	if err != nil {
		return err
	}
	before, err := l.view(fuse.Before)
	if err != nil {
		return err
	}
	var afterMap, beforeMap affineMap
	if l.After != nil {
		afterMap = p.addNorm(index, l.After, after.NumChannels(), false)
	}
	if l.Before != nil {
		beforeMap = p.addNorm(index, l.Before, before.NumChannels(), !l.sums())
	}
	f := fold{
		bias: l.Bias, newBias: l.NewBias, biasDType: int64(l.BiasDType), outputs: int64(after.NumChannels()),
		scale: afterMap.scale, shift: afterMap.shift,
		result: cu.DevicePtr(index),
	}
	if l.Before == nil {
		f.quick = afterMap.quick(l.DType)
	} else if l.After == nil {
		f.quick = beforeMap.quick(l.DType)
	}
	partElems := maxElems
	if f.kind = l.foldKind(after); f.kind != kindVectors { // the others do not count elements with 31 bits
		partElems = after.Elems()
	}
	if l.sums() {
		if f.kind == kindRows && before.Channels*before.Inner > maxElems {
			return errOutput
		}
		p.kernel = "fold_sums"
		f.terms = terms{shift: beforeMap.shift, outer: int64(before.Outer), channels: int64(before.Channels), inner: int64(before.Inner)}
		f.abreast = 1 // all of a warp's outputs are of one group
		if before.Groups == 1 || before.Outer%kernels.Abreast == 0 {
			f.abreast = kernels.Abreast
		}
	}
	for first := 0; first < after.Elems(); first += partElems {
		elems := min(partElems, after.Elems()-first)
		f.weight = segment{data: l.Weight + cu.DevicePtr(first*l.DType.Size()), elems: int64(elems), dtype: int64(l.DType)}
		if l.After != nil {
			f.weight.after = newFactor(afterMap.scale, after, first)
		}
		if l.Before != nil {
			f.weight.before = newFactor(beforeMap.scale, before, first)
		}
		last := first+elems == after.Elems()
		p.addFold(f, last && l.After != nil)
	}
	return nil
}

// foldKind is how fold.cuh goes through the layer's weight.
func (l Layer) foldKind(after fuse.View) int64 {
	perVector := fuse.SegmentAlign / l.DType.Size()
	inWholeVectors := func(elems int) bool {
		return elems%perVector == 0 && elems <= maxElems && l.Weight%fuse.SegmentAlign == 0 && after.Elems()/perVector <= maxElems
	}
	switch {
	case l.sums() && l.Layout == fuse.MatMul:
		return kindColumns
	case l.sums():
		return kindRows
	case l.Before != nil || after.Groups > 1:
		return kindVectors
	case after.Outer == 1 && inWholeVectors(after.Inner):
		return kindRuns
	case after.Outer > 1 && inWholeVectors(after.Channels*after.Inner):
		return kindStripes
	}
	return kindVectors
}

// addNorm gives a norm's channels to affine, and says where their maps will lie.
func (p *residentPlan) addNorm(layer int, n *Norm, channels int, noShift bool) affineMap {
	dtype := n.DType
	if dtype == 0 {
		dtype = fuse.Float32
	}
	to := affineMap{p.reserveMap(channels), p.reserveMap(channels), p.reserveMap(channels)}
	row := norm{
		gamma: n.Gamma, beta: n.Beta, mean: n.Mean, variance: n.Var,
		channels: int64(channels), dtype: int64(dtype), firstTile: int64(p.normTiles),
		eps:   n.Eps,
		scale: to.scale, shift: to.shift, bounds: to.bounds,
		refused: cu.DevicePtr(layer),
	}
	if noShift {
		row.noShift = 1
	}
	p.normRows = append(p.normRows, row)
	p.normTiles += (channels + kernels.Threads - 1) / kernels.Threads
	return to
}

func (p *residentPlan) reserveMap(channels int) cu.DevicePtr {
	return cu.DevicePtr(p.maps.reserve(8*channels) + 1)
}

// addFold gives a layer, or a part of one, to fold. bias says that the new bias needs tiles of its own; with
// a sum over the weights it is written where the sum is.
func (p *residentPlan) addFold(f fold, bias bool) {
	f.firstTile = int64(p.foldTiles)
	f.weightTiles = f.tiles()
	p.foldTiles += int(f.weightTiles)
	if f.kind < kindRows && bias {
		p.foldTiles += int(ceil(f.outputs, kernels.Threads))
	}
	p.foldRows = append(p.foldRows, f)
}

// tiles is how many the weight has, as fold.cuh defines them for each kind.
func (f fold) tiles() int64 {
	w := f.weight
	dtype := fuse.DType(w.dtype)
	rowBytes := w.after.channels * w.after.inner * int64(dtype.Size())
	switch f.kind {
	case kindRuns:
		return ceil(rowBytes/fuse.SegmentAlign, kernels.Few*kernels.Threads)
	case kindStripes:
		return ceil(ceil(w.after.outer, kernels.Few)*(rowBytes/fuse.SegmentAlign), kernels.Threads)
	case kindRows:
		return ceil(f.outputs, kernels.Threads/kernels.Lanes*f.abreast)
	case kindColumns:
		return ceil(f.outputs, columnOutputs)
	}
	return int64(scaleTiles(w.data, int(w.elems), dtype))
}

// ceil is a/b, rounded up.
func ceil(a, b int64) int64 { return (a + b - 1) / b }

// tables is the memory's first part, the norms and folds, for a memory that starts at base.
func (p *residentPlan) tables(base cu.DevicePtr) []byte {
	mapsAt := base + cu.DevicePtr(p.results.at+p.results.nBytes())
	place := func(at *cu.DevicePtr) {
		if *at != 0 {
			*at += mapsAt - 1
		}
	}
	resultOf := func(layer cu.DevicePtr) cu.DevicePtr {
		return base + cu.DevicePtr(p.results.at) + layer*cu.DevicePtr(p.results.size)
	}
	memory := make([]byte, p.results.at)
	norms := view[norm](memory, p.norms.at, p.norms.n)
	copy(norms, p.normRows)
	for i := range norms {
		n := &norms[i]
		place(&n.scale)
		place(&n.shift)
		place(&n.bounds)
		n.refused = resultOf(n.refused) + cu.DevicePtr(unsafe.Offsetof(result{}.refused))
	}
	folds, firstTiles := view[fold](memory, p.folds.at, p.folds.n), view[int64](memory, p.firstTiles.at, p.firstTiles.n)
	copy(folds, p.foldRows)
	for i := range folds {
		f := &folds[i]
		firstTiles[i] = f.firstTile
		for _, at := range []*cu.DevicePtr{&f.scale, &f.shift, &f.quick, &f.weight.after.scale, &f.weight.before.scale, &f.terms.shift} {
			place(at)
		}
		f.result = resultOf(f.result)
	}
	return memory
}
