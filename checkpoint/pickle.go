package checkpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Bounds of a pickle, which holds names and shapes; the tensors' bytes lie elsewhere. Some 30 opcodes describe a
// tensor, and one can take 60 bytes of memory for the one that it has.
const (
	maxPickleBytes   = 100_000_000
	maxPickleOpcodes = 4_000_000
)

// What a pickle is made of, besides nil, bool, int64, float64, string and []byte.
type (
	tuple []any
	list  struct{ items []any }
	dict  struct { // an OrderedDict too; the keys keep their order
		keys   []any
		values []any
		at     map[string]int // of the keys that are text
	}
	global struct{ module, name string }
	opaque struct{ what string } // a thing of no interest, such as an optimizer's number
	bigInt string                // a number of more than 64 bits, as its little-endian bytes
)

func (g global) String() string { return g.module + "." + g.name }

// unpickler reads a pickle as data. The opcodes are those of opcodes.go, the names those of globals.go, and
// what a pickle asks to call is either one of the few functions that rebuild a tensor, which are read as
// descriptions, or gives an opaque value. Every length is checked against what is left of the file before
// it is allocated, and an opcode adds at most one value, so memory is bounded by their number and the pickle's size.
type unpickler struct {
	r     *bufio.Reader
	left  int64 // bytes of the file, or of the bound, that are still unread
	stack []any
	marks []int // where in the stack
	memo  map[uint32]any

	copied int // members of lists that became OrderedDicts

	storages *storages
}

func newUnpickler(r io.Reader, size int64, s *storages) *unpickler {
	left := min(size, maxPickleBytes)
	return &unpickler{r: bufio.NewReader(io.LimitReader(r, left)), left: left, memo: map[uint32]any{}, storages: s}
}

var (
	errPickleCut   = errors.New("the pickle is cut, or larger than is allowed")
	errPickleStack = errors.New("the pickle takes more than it has put on its stack")
)

// load reads one pickle. What follows it stays unread.
func (u *unpickler) load() (any, error) {
	u.stack, u.marks = nil, nil
	clear(u.memo)
	for n := 0; ; n++ {
		if n == maxPickleOpcodes {
			return nil, fmt.Errorf("the pickle has more than %d opcodes", maxPickleOpcodes)
		}
		op, err := u.byte()
		if err != nil {
			return nil, err
		}
		if op == opStop {
			return u.pop()
		}
		do := opcodes[op]
		if do == nil {
			return nil, fmt.Errorf("pickle opcode %q (0x%02x) is not read", op, op)
		}
		if err := do(u); err != nil {
			return nil, err
		}
	}
}

func (u *unpickler) byte() (byte, error) {
	b, err := u.r.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	u.left--
	return b, nil
}

// bytes reads n bytes, which must be there.
func (u *unpickler) bytes(n uint64) ([]byte, error) {
	if n > uint64(max(u.left, 0)) {
		return nil, fmt.Errorf("%w: %d bytes are wanted, %d are left", errPickleCut, n, u.left)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(u.r, b); err != nil {
		return nil, cut(err)
	}
	u.left -= int64(n)
	return b, nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errPickleCut
	}
	return err
}

// uint reads an unsigned number of n bytes.
func (u *unpickler) uint(n int) (uint64, error) {
	b, err := u.bytes(uint64(n))
	if err != nil {
		return 0, err
	}
	var wide [8]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), nil
}

// counted reads a length of n bytes and as many bytes.
func (u *unpickler) counted(n int) ([]byte, error) {
	length, err := u.uint(n)
	if err != nil {
		return nil, err
	}
	return u.bytes(length)
}

// line reads up to a newline.
func (u *unpickler) line() (string, error) {
	const maxLine = 4096 // a name of a module, or a short number
	var b []byte
	for len(b) < maxLine {
		c, err := u.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(b), nil
		}
		b = append(b, c)
	}
	return "", errors.New("a line of the pickle has no end")
}

func (u *unpickler) push(v any) error {
	u.stack = append(u.stack, v)
	return nil
}

func (u *unpickler) pop() (any, error) {
	n := len(u.stack)
	if n == 0 || len(u.marks) > 0 && u.marks[len(u.marks)-1] == n {
		return nil, errPickleStack
	}
	v := u.stack[n-1]
	u.stack = u.stack[:n-1]
	return v, nil
}

// popN takes the last n values, in order.
func (u *unpickler) popN(n int) ([]any, error) {
	items := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		v, err := u.pop()
		if err != nil {
			return nil, err
		}
		items[i] = v
	}
	return items, nil
}

// popMark takes the values since the last mark, and the mark.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errPickleStack
	}
	at := u.marks[len(u.marks)-1]
	u.marks = u.marks[:len(u.marks)-1]
	items := make([]any, len(u.stack)-at)
	copy(items, u.stack[at:])
	u.stack = u.stack[:at]
	return items, nil
}

// top is the value that an opcode such as APPEND adds to.
func (u *unpickler) top() (any, error) {
	v, err := u.pop()
	if err == nil {
		u.stack = append(u.stack, v)
	}
	return v, err
}

// long is the little-endian two's complement number of a LONG opcode.
func long(b []byte) any {
	if len(b) > 8 {
		return bigInt(b)
	}
	n := int64(0)
	for i, c := range b {
		n |= int64(c) << (8 * i)
	}
	if k := len(b); k > 0 && k < 8 && b[k-1]&0x80 != 0 {
		n -= 1 << (8 * k)
	}
	return n
}

func bigFloat(b []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b)) }

// set adds a member, or replaces the one with the same text as key.
func (d *dict) set(key, value any) {
	if s, ok := key.(string); ok {
		if i, ok := d.at[s]; ok {
			d.values[i] = value
			return
		}
		if d.at == nil {
			d.at = map[string]int{}
		}
		d.at[s] = len(d.keys)
	}
	d.keys = append(d.keys, key)
	d.values = append(d.values, value)
}

// get is the value of a text key, nil for none.
func (d *dict) get(key string) any {
	if i, ok := d.at[key]; ok {
		return d.values[i]
	}
	return nil
}
