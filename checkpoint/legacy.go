package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// legacyProtocol is the only version of the legacy format there was.
const legacyProtocol = 1001

// readLegacy reads what torch.save wrote before 1.6: five pickles, then the storages.
//
//	0x1950a86a20f9469cfc6c | 1001 | {"little_endian": True, …} | the state dict | [key, …]
//	for each key: int64 number of elements | the elements
func readLegacy(f *os.File, size int64) (*part, error) {
	s := newStorages()
	u := newUnpickler(f, size, s)
	bound := u.left
	if err := u.preamble(); err != nil {
		return nil, err
	}
	info, err := u.load()
	if err != nil {
		return nil, err
	}
	system, ok := info.(*dict)
	if !ok {
		return nil, errors.New("the file does not say what system wrote it")
	}
	little, ok := system.get("little_endian").(bool)
	if !ok {
		return nil, errors.New("the file does not say whether it is little-endian")
	}
	top, err := u.load()
	if err != nil {
		return nil, err
	}
	keys, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("list of storages: %w", err)
	}
	l, ok := keys.(*list)
	if !ok {
		return nil, errors.New("the list of storages is none")
	}
	if err := s.placeLegacy(f, bound-u.left, size, l.items, !little); err != nil {
		return nil, err
	}
	return newStateDict(f, size, top, false) // the elements are little-endian, whatever machine wrote them
}

func (u *unpickler) preamble() error {
	magic, err := u.load()
	if err != nil {
		return err
	}
	if magic != bigInt(legacyMagic) {
		return fmt.Errorf("%w: a pickle, but not one of torch.save", ErrNotStateDict)
	}
	protocol, err := u.load()
	if err != nil {
		return err
	}
	if protocol != int64(legacyProtocol) {
		return fmt.Errorf("the legacy format has protocol %s, %d is known", shown(protocol), legacyProtocol)
	}
	return nil
}

// placeLegacy finds the storages one behind the other.
func (s *storages) placeLegacy(f *os.File, at, size int64, keys []any, bigEndian bool) error {
	for _, k := range keys {
		key, _ := k.(string)
		st := s.byKey[key]
		if st == nil || st.src != nil {
			return fmt.Errorf("the list of storages has %s, of which no tensor is made, or twice", shown(k))
		}
		var count [8]byte
		if _, err := f.ReadAt(count[:], at); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("storage %q: %w", key, err)
		}
		n := binary.LittleEndian.Uint64(count[:])
		if bigEndian && n != uint64(st.nElems) { // older versions of PyTorch wrote the count as the machine has it
			n = binary.BigEndian.Uint64(count[:])
		}
		at += 8
		per := elemBytes(st.dtype)
		if n != uint64(st.nElems) || n > uint64((size-at)/per) {
			return fmt.Errorf("storage %q has %d elements of %s, the pickle says %d, and %d bytes follow", key, n, st.dtype, st.nElems, size-at)
		}
		st.src, st.off, st.nBytes = f, at, int64(n)*per
		at += st.nBytes
	}
	for _, st := range s.order {
		if st.src == nil {
			return fmt.Errorf("storage %q is missing", st.key)
		}
	}
	return nil
}
