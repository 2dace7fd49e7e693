package fuse

// Engine multiplies weights. It knows four-number views, element types and slabs of memory, and no
// file format. All engines give the same bits: those of package host's reference loops.
//
// An engine is safe for concurrent use as long as no slab is used by two calls at once; callers run
// several slabs side by side to overlap reading, multiplying and writing.
type Engine interface {
	// Name is what a report calls the engine: "cpu", "cuda:0".
	Name() string

	// Slabs says how many slabs the engine wants in flight, and how large each should be.
	Slabs() (n, nBytes int)

	// Align is what the Offset of a piece must be a multiple of: a power of two, at most [SegmentAlign].
	Align() int

	// NewSlab allocates a slab: pinned memory for a GPU, plain memory for the host.
	NewSlab(nBytes int) (Slab, error)

	// Scale multiplies the segments of the slab in place and sets their Overflows and Vanished.
	// It returns when the slab's bytes are final.
	Scale(slab Slab, segments []Segment) error

	// Contract adds each contraction's products W·t to its lanes; the slab stays as it is.
	Contract(slab Slab, contractions []Contraction) error

	// Close gives back what the engine holds. Slabs must be freed before.
	Close() error
}

// Slab is a stretch of memory an engine can multiply fast. Its start is aligned to [SegmentAlign].
type Slab interface {
	Bytes() []byte
	Free() error
}

// SegmentAlign suits every engine: 16 bytes, the vector of a GPU.
const SegmentAlign = 16

// Piece is a run of consecutive elements of one tensor that lies in a slab, little-endian.
// A slab holds many pieces of small tensors; a large tensor spans many slabs.
type Piece struct {
	Offset int // where the run starts in the slab, in bytes; a multiple of [Engine].Align
	Elems  int // how many elements it has
	First  int // the index, within the tensor, of its first element
	DType  DType
}

// Factor is a scale and the view that says which element it belongs to. A Factor whose Scale is nil
// multiplies by nothing.
type Factor struct {
	View  View
	Scale []float64 // [View.NumChannels()], all finite
}

// Segment is a piece to be scaled:
//
//	W' = round((After ⊙ W) ⊙ Before)
//
// in float64, left to right, rounded once to the piece's type. A NaN weight keeps its bits; ∞·0 gives
// the type's positive quiet NaN.
type Segment struct {
	Piece
	After, Before Factor

	Overflows int // set by Scale: finite weights that are finite no more
	Vanished  int // set by Scale: weights that became zero though neither they nor their scales were
}

// Contraction is a piece of a weight W with a norm before it, whose shift t leaves Σ W·t in the bias.
// The sum of output o runs over its terms i = 0, 1, 2 …; product i, W·t rounded to float64, is added
// to lane i mod NumLanes of output o, in ascending order. [SumLanes] adds up the lanes.
//
// Under the view of direction Before, element [g][o][c][k] is term c·Inner + k of output g·Outer + o.
// With PerInner (a weight stored [in, out]) it is term c of output k, and Groups and Outer are 1.
type Contraction struct {
	Piece
	View     View
	Shift    []float64 // t [View.NumChannels()], all finite
	PerInner bool
	Lanes    []float64 // [outputs][NumLanes], added to
}

// NumLanes is the number of partial sums a contraction keeps for an output: a CUDA warp's width.
const NumLanes = 32

// SumLanes adds the partial sums of each output: lane j takes lane j+16, then j+8, 4, 2 and 1.
// lanes is [outputs][NumLanes] and is overwritten; the result is [outputs].
func SumLanes(lanes []float64) []float64 {
	sums := make([]float64, len(lanes)/NumLanes)
	for o := range sums {
		l := lanes[o*NumLanes : (o+1)*NumLanes]
		for half := NumLanes / 2; half > 0; half /= 2 {
			for j := range half {
				l[j] += l[j+half]
			}
		}
		sums[o] = l[0]
	}
	return sums
}
