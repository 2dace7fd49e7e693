package checkpoint

import (
	"errors"
	"fmt"
	"strconv"
)

const opStop = '.'

// opcodes are all that is read: those of protocols 2 to 5 that make data, and INT, LONG, UNICODE, PUT and
// GET of protocol 0. None calls anything. https://github.com/python/cpython/blob/main/Lib/pickletools.py
var opcodes [256]func(*unpickler) error

func init() {
	for op, do := range map[byte]func(*unpickler) error{
		0x80: func(u *unpickler) error { // PROTO
			v, err := u.byte()
			if err == nil && v > 5 {
				err = fmt.Errorf("pickle protocol %d is not known", v)
			}
			return err
		},
		0x95: func(u *unpickler) error { // FRAME: only a hint to readers
			n, err := u.uint(8)
			if err == nil && n > uint64(max(u.left, 0)) {
				err = fmt.Errorf("%w: a frame of %d bytes, %d are left", errPickleCut, n, u.left)
			}
			return err
		},
		'(': func(u *unpickler) error { // MARK
			u.marks = append(u.marks, len(u.stack))
			return nil
		},
		'0': func(u *unpickler) error { _, err := u.pop(); return err },     // POP
		'1': func(u *unpickler) error { _, err := u.popMark(); return err }, // POP_MARK

		'N':  func(u *unpickler) error { return u.push(nil) },   // NONE
		0x88: func(u *unpickler) error { return u.push(true) },  // NEWTRUE
		0x89: func(u *unpickler) error { return u.push(false) }, // NEWFALSE
		'K':  func(u *unpickler) error { return u.pushUint(1) }, // BININT1
		'M':  func(u *unpickler) error { return u.pushUint(2) }, // BININT2
		'J': func(u *unpickler) error { // BININT
			n, err := u.uint(4)
			if err != nil {
				return err
			}
			return u.push(int64(int32(n)))
		},
		'I': (*unpickler).decimal, // INT
		'L': (*unpickler).decimal, // LONG
		0x8a: func(u *unpickler) error { // LONG1
			b, err := u.counted(1)
			if err != nil {
				return err
			}
			return u.push(long(b))
		},
		0x8b: func(u *unpickler) error { // LONG4
			b, err := u.counted(4)
			if err != nil {
				return err
			}
			return u.push(long(b))
		},
		'G': func(u *unpickler) error { // BINFLOAT
			b, err := u.bytes(8)
			if err != nil {
				return err
			}
			return u.push(bigFloat(b))
		},

		'V': func(u *unpickler) error { // UNICODE
			s, err := u.line()
			u.push(s)
			return err
		},
		'X':  func(u *unpickler) error { return u.pushText(4) },  // BINUNICODE
		0x8c: func(u *unpickler) error { return u.pushText(1) },  // SHORT_BINUNICODE
		0x8d: func(u *unpickler) error { return u.pushText(8) },  // BINUNICODE8
		'U':  func(u *unpickler) error { return u.pushText(1) },  // SHORT_BINSTRING
		'T':  func(u *unpickler) error { return u.pushText(4) },  // BINSTRING
		'C':  func(u *unpickler) error { return u.pushBytes(1) }, // SHORT_BINBYTES
		'B':  func(u *unpickler) error { return u.pushBytes(4) }, // BINBYTES
		0x8e: func(u *unpickler) error { return u.pushBytes(8) }, // BINBYTES8
		0x96: func(u *unpickler) error { return u.pushBytes(8) }, // BYTEARRAY8

		')':  func(u *unpickler) error { return u.push(tuple{}) }, // EMPTY_TUPLE
		't':  (*unpickler).tuple,                                  // TUPLE
		0x85: func(u *unpickler) error { return u.tupleOf(1) },    // TUPLE1
		0x86: func(u *unpickler) error { return u.tupleOf(2) },    // TUPLE2
		0x87: func(u *unpickler) error { return u.tupleOf(3) },    // TUPLE3
		']':  func(u *unpickler) error { return u.push(&list{}) }, // EMPTY_LIST
		'a': func(u *unpickler) error { // APPEND
			items, err := u.popN(1)
			if err != nil {
				return err
			}
			return u.extend(items)
		},
		'e': func(u *unpickler) error { // APPENDS
			items, err := u.popMark()
			if err != nil {
				return err
			}
			return u.extend(items)
		},
		'l': func(u *unpickler) error { // LIST
			items, err := u.popMark()
			u.push(&list{items})
			return err
		},
		'}': func(u *unpickler) error { return u.push(&dict{}) }, // EMPTY_DICT
		'd': func(u *unpickler) error { // DICT
			items, err := u.popMark()
			if err != nil {
				return err
			}
			u.push(&dict{})
			return u.setItems(items)
		},
		's': func(u *unpickler) error { // SETITEM
			items, err := u.popN(2)
			if err != nil {
				return err
			}
			return u.setItems(items)
		},
		'u': func(u *unpickler) error { // SETITEMS
			items, err := u.popMark()
			if err != nil {
				return err
			}
			return u.setItems(items)
		},
		0x8f: func(u *unpickler) error { return u.push(&list{}) }, // EMPTY_SET
		0x90: func(u *unpickler) error { // ADDITEMS
			items, err := u.popMark()
			if err != nil {
				return err
			}
			return u.extend(items)
		},

		'p':  func(u *unpickler) error { return u.numbered(u.put) },          // PUT
		'q':  func(u *unpickler) error { return u.indexed(1, u.put) },        // BINPUT
		'r':  func(u *unpickler) error { return u.indexed(4, u.put) },        // LONG_BINPUT
		0x94: func(u *unpickler) error { return u.put(uint32(len(u.memo))) }, // MEMOIZE
		'g':  func(u *unpickler) error { return u.numbered(u.get) },          // GET
		'h':  func(u *unpickler) error { return u.indexed(1, u.get) },        // BINGET
		'j':  func(u *unpickler) error { return u.indexed(4, u.get) },        // LONG_BINGET

		'c':  (*unpickler).global,      // GLOBAL
		0x93: (*unpickler).stackGlobal, // STACK_GLOBAL
		'R':  (*unpickler).reduce,      // REDUCE
		0x81: (*unpickler).reduce,      // NEWOBJ
		'b':  (*unpickler).build,       // BUILD
		'Q':  (*unpickler).persistent,  // BINPERSID
	} {
		opcodes[op] = do
	}
}

func (u *unpickler) pushUint(n int) error {
	x, err := u.uint(n)
	u.push(int64(x))
	return err
}

func (u *unpickler) pushText(n int) error {
	b, err := u.counted(n)
	u.push(string(b))
	return err
}

func (u *unpickler) pushBytes(n int) error {
	b, err := u.counted(n)
	u.push(b)
	return err
}

// decimal reads INT or LONG: "12", "12L", and "00" and "01" for the truth values.
func (u *unpickler) decimal() error {
	s, err := u.line()
	if err != nil {
		return err
	}
	switch s {
	case "00":
		return u.push(false)
	case "01":
		return u.push(true)
	}
	if n := len(s); n > 0 && s[n-1] == 'L' {
		s = s[:n-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fmt.Errorf("the pickle's number %q is none", s)
	}
	return u.push(n)
}

func (u *unpickler) tuple() error {
	items, err := u.popMark()
	u.push(tuple(items))
	return err
}

func (u *unpickler) tupleOf(n int) error {
	items, err := u.popN(n)
	u.push(tuple(items))
	return err
}

func (u *unpickler) extend(items []any) error {
	to, err := u.top()
	if err != nil {
		return err
	}
	switch to := to.(type) {
	case *list:
		to.items = append(to.items, items...)
	case opaque:
	default:
		return errors.New("the pickle appends to what is no list")
	}
	return nil
}

func (u *unpickler) setItems(items []any) error {
	to, err := u.top()
	if err != nil {
		return err
	}
	if len(items)%2 != 0 {
		return errors.New("the pickle sets a key without a value")
	}
	switch to := to.(type) {
	case *dict:
		for i := 0; i < len(items); i += 2 {
			to.set(items[i], items[i+1])
		}
	case opaque:
	default:
		return errors.New("the pickle sets an item of what is no dictionary")
	}
	return nil
}

// numbered reads a memo's number in decimals.
func (u *unpickler) numbered(do func(uint32) error) error {
	s, err := u.line()
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return fmt.Errorf("the pickle's memo has no number %q", s)
	}
	return do(uint32(n))
}

func (u *unpickler) indexed(n int, do func(uint32) error) error {
	i, err := u.uint(n)
	if err != nil {
		return err
	}
	return do(uint32(i))
}

func (u *unpickler) put(i uint32) error {
	v, err := u.top()
	if err == nil {
		u.memo[i] = v
	}
	return err
}

func (u *unpickler) get(i uint32) error {
	v, ok := u.memo[i]
	if !ok {
		return fmt.Errorf("the pickle's memo has no number %d", i)
	}
	return u.push(v)
}
