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
	scale, shift                cu.DevicePtr
	noShift                     int64
	refused                     cu.DevicePtr
}

// fold is struct Fold of fold.cu.
type fold struct {
	weight                 segment
	firstTile, weightTiles int64
	kind                   int64
	terms                  terms
	bias, newBias          cu.DevicePtr
	biasDType, outputs     int64
	scale, shift           cu.DevicePtr
	result                 cu.DevicePtr
}

// The kinds of fold.cu.
const (
	kindVectors = iota
	kindRows
	kindColumns
)

// result is struct Result of fold.cu.
type result struct{ overflows, vanished, biasOverflows, refused uint64 }

// table is n entries of a size at an offset in a model's memory.
type table struct{ at, n, size int }

func (t table) nBytes() int { return t.n * t.size }

// residentPlan is a model's memory: the tables, the results, and the maps that affine computes for fold.
// Pointers into it are offsets until tables gives them a base.
type residentPlan struct {
	norms, folds, results table
	nBytes                int
	normTiles, foldTiles  int

	normRows []norm
	foldRows []fold
	maps     arena // offsets from the end of the tables
}

// affineMap is where a norm's map lies: an offset from the end of the tables, plus one so that 0 is none.
type affineMap struct{ scale, shift cu.DevicePtr }

// maxElems is how much of a tensor one entry scales; the kernels count elements with 31 bits.
const maxElems = 1 << 30

func planResident(layers []Layer) (*residentPlan, error) {
	p := new(residentPlan)
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
	p.results = table{p.folds.at + p.folds.nBytes(), len(layers), sizeOf[result]()}
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
		kind: kindVectors,
		bias: l.Bias, newBias: l.NewBias, biasDType: int64(l.BiasDType), outputs: int64(after.NumChannels()),
		scale: afterMap.scale, shift: afterMap.shift,
		result: cu.DevicePtr(index),
	}
	partElems := maxElems
	if l.sums() { // whole outputs, which are not counted with 31 bits
		partElems = after.Elems()
		f.kind = kindRows
		if l.Layout == fuse.MatMul {
			f.kind = kindColumns
		}
		f.terms = terms{shift: beforeMap.shift, outer: int64(before.Outer), channels: int64(before.Channels), inner: int64(before.Inner)}
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
		p.addFold(f, scaleTiles(f.weight.data, elems, l.DType), last && l.After != nil)
	}
	return nil
}

// addNorm gives a norm's channels to affine, and says where their maps will lie.
func (p *residentPlan) addNorm(layer int, n *Norm, channels int, noShift bool) affineMap {
	dtype := n.DType
	if dtype == 0 {
		dtype = fuse.Float32
	}
	to := affineMap{p.reserveMap(channels), p.reserveMap(channels)}
	row := norm{
		gamma: n.Gamma, beta: n.Beta, mean: n.Mean, variance: n.Var,
		channels: int64(channels), dtype: int64(dtype), firstTile: int64(p.normTiles),
		eps:   n.Eps,
		scale: to.scale, shift: to.shift,
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
func (p *residentPlan) addFold(f fold, vectorTiles int, bias bool) {
	f.firstTile = int64(p.foldTiles)
	switch perTile := int64(kernels.Threads / kernels.Lanes); f.kind {
	case kindRows:
		f.weightTiles = (f.outputs + perTile - 1) / perTile
	case kindColumns:
		f.weightTiles = (f.outputs + kernels.Lanes - 1) / kernels.Lanes
	default:
		f.weightTiles = int64(vectorTiles)
	}
	p.foldTiles += int(f.weightTiles)
	if f.kind == kindVectors && bias {
		p.foldTiles += (int(f.outputs) + kernels.Threads - 1) / kernels.Threads
	}
	p.foldRows = append(p.foldRows, f)
}

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
		n.refused = resultOf(n.refused) + cu.DevicePtr(unsafe.Offsetof(result{}.refused))
	}
	folds := view[fold](memory, p.folds.at, p.folds.n)
	copy(folds, p.foldRows)
	for i := range folds {
		f := &folds[i]
		for _, at := range []*cu.DevicePtr{&f.scale, &f.shift, &f.weight.after.scale, &f.weight.before.scale, &f.terms.shift} {
			place(at)
		}
		f.result = resultOf(f.result)
	}
	return memory
}
