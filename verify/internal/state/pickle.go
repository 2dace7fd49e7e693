package state

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// A pickle is a program for a machine with a stack. This one makes only what a state dict is built of:
// nil, bool, int64, string, and the types below. What else there is, is an inert value.
type (
	tuple []any
	list  struct{ items []any }
	dict  struct {
		keys   []string // in order; members whose key is no text are left out
		values map[string]any
	}
	name  string // of a class or function, with its module: never called, only recognised
	huge  string // a number of more than 8 bytes
	inert struct{}
)

// machine reads a pickle. The first error sticks: all that is read after it is empty. Every length is held
// against what is left of the file before anything is allocated.
type machine struct {
	in     *bufio.Reader
	left   int64
	err    error
	stack  []any
	marks  []int // heights of the stack
	memo   map[int64]any
	stores map[string]*storage
	spread int // members that lists gave to dictionaries
}

// maxPickle bounds a pickle: it holds names and sizes, and the elements lie elsewhere.
const maxPickle = 100_000_000

// maxSteps bounds its opcodes, each of which may take much more memory than its byte.
const maxSteps = 4_000_000

func newMachine(r io.Reader, nBytes int64) *machine {
	left := min(nBytes, maxPickle)
	return &machine{in: bufio.NewReader(io.LimitReader(r, left)), left: left, stores: map[string]*storage{}}
}

func (m *machine) fail(form string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf(form, args...)
	}
}

// next reads n bytes.
func (m *machine) next(n uint64) []byte {
	if m.err == nil && n > uint64(m.left) {
		m.fail("the pickle is cut: %d bytes are wanted and %d are left", n, m.left)
	}
	if m.err != nil {
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(m.in, b); err != nil {
		m.fail("the pickle: %w", unexpected(err))
		return nil
	}
	m.left -= int64(n)
	return b
}

// number reads n bytes as an unsigned number.
func (m *machine) number(n uint64) uint64 {
	var wide [8]byte
	copy(wide[:], m.next(n))
	return binary.LittleEndian.Uint64(wide[:])
}

// counted reads a length of n bytes, and as many bytes.
func (m *machine) counted(n uint64) []byte { return m.next(m.number(n)) }

// line reads up to a newline.
func (m *machine) line() string {
	var b []byte
	for len(b) < 1000 {
		c := m.next(1)
		if m.err != nil || c[0] == '\n' {
			return string(b)
		}
		b = append(b, c[0])
	}
	m.fail("a name in the pickle has no end")
	return ""
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

// pop takes the last value; nil and an error where there is none above the last mark.
func (m *machine) pop() any {
	floor := 0
	if len(m.marks) > 0 {
		floor = m.marks[len(m.marks)-1]
	}
	n := len(m.stack)
	if n <= floor {
		m.fail("the pickle takes more values than it has made")
		return nil
	}
	v := m.stack[n-1]
	m.stack = m.stack[:n-1]
	return v
}

// popN takes the last n values, in order.
func (m *machine) popN(n int) []any {
	values := make([]any, n)
	for i := range values {
		values[n-1-i] = m.pop()
	}
	return values
}

// popMarked takes the values since the last mark.
func (m *machine) popMarked() []any {
	if len(m.marks) == 0 {
		m.fail("the pickle has no mark")
		return nil
	}
	at := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	values := append([]any(nil), m.stack[at:]...)
	m.stack = m.stack[:at]
	return values
}

// load runs one pickle and gives its value. What follows it stays unread.
func (m *machine) load() (any, error) {
	m.stack, m.marks, m.memo = nil, nil, map[int64]any{}
	for n := 0; m.err == nil; n++ {
		op := m.next(1)
		if n == maxSteps {
			m.fail("the pickle has more than %d opcodes", maxSteps)
		}
		if m.err != nil {
			break
		}
		if op[0] == '.' {
			v := m.pop()
			return v, m.err
		}
		if !m.literal(op[0]) && !m.container(op[0]) && !m.object(op[0]) {
			m.fail("pickle opcode %q is not read", op[0])
		}
	}
	return nil, m.err
}

// literal runs the opcodes that make a number or a text.
func (m *machine) literal(op byte) bool {
	switch op {
	case 'N':
		m.push(nil)
	case 0x88, 0x89:
		m.push(op == 0x88)
	case 'K':
		m.push(int64(m.number(1)))
	case 'M':
		m.push(int64(m.number(2)))
	case 'J':
		m.push(int64(int32(m.number(4))))
	case 0x8a:
		m.push(long(m.counted(1)))
	case 0x8b:
		m.push(long(m.counted(4)))
	case 'I', 'L':
		m.push(m.decimal())
	case 'G':
		m.next(8)
		m.push(inert{}) // a float
	case 'U', 0x8c:
		m.push(string(m.counted(1)))
	case 'T', 'X':
		m.push(string(m.counted(4)))
	case 0x8d:
		m.push(string(m.counted(8)))
	case 'V':
		m.push(m.line())
	case 'C', 'B', 0x8e, 0x96: // bytes
		m.counted(map[byte]uint64{'C': 1, 'B': 4, 0x8e: 8, 0x96: 8}[op])
		m.push(inert{})
	default:
		return false
	}
	return true
}

// long is a little-endian number in two's complement.
func long(b []byte) any {
	if len(b) > 8 {
		return huge(b)
	}
	n, bits := uint64(0), 8*len(b)
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	return int64(n<<(64-bits)) >> (64 - bits)
}

// decimal is a number in digits, perhaps with an L behind them; 00 and 01 are False and True.
func (m *machine) decimal() any {
	s := m.line()
	if s == "00" || s == "01" {
		return s == "01"
	}
	if n := len(s); n > 0 && s[n-1] == 'L' {
		s = s[:n-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && m.err == nil {
		m.fail("the pickle's number %q is none", s)
	}
	return n
}

// container runs the opcodes of tuples, lists, sets and dictionaries, of the stack and of the memo.
func (m *machine) container(op byte) bool {
	switch op {
	case '(':
		m.marks = append(m.marks, len(m.stack))
	case '0':
		m.pop()
	case '1':
		m.popMarked()
	case ')':
		m.push(tuple{})
	case 't':
		m.push(tuple(m.popMarked()))
	case 0x85, 0x86, 0x87:
		m.push(tuple(m.popN(int(op) - 0x84)))
	case ']', 0x8f:
		m.push(&list{})
	case 'l':
		m.push(&list{m.popMarked()})
	case 'a':
		m.extend(m.popN(1))
	case 'e', 0x90:
		m.extend(m.popMarked())
	case '}':
		m.push(newDict())
	case 'd':
		members := m.popMarked()
		m.push(newDict())
		m.set(members)
	case 's':
		m.set(m.popN(2))
	case 'u':
		m.set(m.popMarked())
	case 'p', 'g':
		n, err := strconv.ParseInt(m.line(), 10, 64)
		if err != nil {
			m.fail("the pickle's memo has a place without a number")
		}
		m.remember(op == 'p', n)
	case 'q', 'h':
		m.remember(op == 'q', int64(m.number(1)))
	case 'r', 'j':
		m.remember(op == 'r', int64(m.number(4)))
	case 0x94:
		m.remember(true, int64(len(m.memo)))
	default:
		return false
	}
	return true
}

// remember puts the last value into the memo, or one from there onto the stack.
func (m *machine) remember(put bool, at int64) {
	if put {
		m.memo[at] = m.last()
		return
	}
	v, ok := m.memo[at]
	if !ok {
		m.fail("the pickle's memo has nothing at %d", at)
	}
	m.push(v)
}

// last is the value that an opcode changes or remembers.
func (m *machine) last() any {
	v := m.pop()
	m.push(v)
	return v
}

func (m *machine) extend(items []any) {
	switch to := m.last().(type) {
	case *list:
		to.items = append(to.items, items...)
	case inert:
	default:
		m.fail("the pickle appends to a %T", to)
	}
}

func newDict() *dict { return &dict{values: map[string]any{}} }

func (m *machine) set(members []any) {
	to, ok := m.last().(*dict)
	if _, other := m.last().(inert); other {
		return
	}
	if !ok || len(members)%2 != 0 {
		m.fail("the pickle sets a member of what is no dictionary, or a key without a value")
		return
	}
	for ; len(members) > 0; members = members[2:] {
		to.put(members[0], members[1])
	}
}

func (d *dict) put(key, value any) {
	k, ok := key.(string)
	if !ok {
		return
	}
	if _, again := d.values[k]; !again {
		d.keys = append(d.keys, k)
	}
	d.values[k] = value
}

var errNotTorch = errors.New("a pickle, but none of torch.save")
