package checkpoint

import (
	"archive/zip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
)

// readZip reads what torch.save writes since 1.6: a zip archive, nothing in it compressed, with
//
//	NAME/data.pkl     the pickle; storages are referred to by key
//	NAME/byteorder    "little" or "big"; absent before 2.1
//	NAME/data/KEY     the storages
func readZip(f *os.File, size int64) (*part, error) {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return nil, fmt.Errorf("the archive is damaged or cut: %w", err)
	}
	entries := map[string]*zip.File{}
	root, pickle := "", (*zip.File)(nil)
	for _, e := range z.File {
		if entries[e.Name] != nil {
			return nil, fmt.Errorf("the archive has two entries %q", e.Name)
		}
		entries[e.Name] = e
		if dir, ok := strings.CutSuffix(e.Name, "data.pkl"); ok && strings.Count(dir, "/") <= 1 {
			if pickle != nil {
				return nil, fmt.Errorf("the archive has two pickles, %q and %q", pickle.Name, e.Name)
			}
			root, pickle = dir, e
		}
	}
	switch {
	case pickle == nil:
		return nil, errors.New("a zip archive without data.pkl: not a checkpoint of PyTorch")
	case entries[root+"constants.pkl"] != nil:
		return nil, fmt.Errorf("%w but a TorchScript program: save the model's state_dict(), or export it to ONNX", ErrNotStateDict)
	}
	bigEndian, err := byteOrder(f, size, entries[root+"byteorder"])
	if err != nil {
		return nil, err
	}
	r, err := checked(f, size, pickle, maxPickleBytes)
	if err != nil {
		return nil, err
	}
	s := newStorages()
	top, err := newUnpickler(r, r.Size(), s).load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pickle.Name, err)
	}
	for _, st := range s.order {
		e := entries[root+"data/"+st.key]
		if e == nil {
			return nil, fmt.Errorf("the archive has no storage %q", st.key)
		}
		r, err := section(f, size, e)
		if err != nil {
			return nil, err
		}
		if want := int64(st.nElems) * elemBytes(st.dtype); st.nElems > 1<<58 || r.Size() < want {
			return nil, fmt.Errorf("%s has %d bytes, the pickle says %d elements of %s", e.Name, r.Size(), st.nElems, st.dtype)
		}
		_, st.off, _ = r.Outer()
		st.src, st.nBytes = f, r.Size()
	}
	return newStateDict(f, size, top, bigEndian)
}

// section is the bytes of an entry, as they lie in the file.
func section(f *os.File, size int64, e *zip.File) (*io.SectionReader, error) {
	if e.Method != zip.Store {
		return nil, fmt.Errorf("%s is compressed, which torch.save never does", e.Name)
	}
	off, err := e.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	if off > size || e.UncompressedSize64 > uint64(size-off) || e.CompressedSize64 != e.UncompressedSize64 {
		return nil, fmt.Errorf("%s has %d bytes and passes the end of the file", e.Name, e.UncompressedSize64)
	}
	return io.NewSectionReader(f, off, int64(e.UncompressedSize64)), nil
}

// checked is the bytes of an entry that has at most most of them, and whose checksum is right. The storages'
// are not checked, as PyTorch does not: that would read every weight twice.
func checked(f *os.File, size int64, e *zip.File, most int64) (*io.SectionReader, error) {
	r, err := section(f, size, e)
	if err != nil {
		return nil, err
	}
	if r.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", e.Name, r.Size(), most)
	}
	if e.CRC32 == 0 {
		return r, nil // torch.serialization.set_crc32_options(False) leaves it out
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, r); err != nil {
		return nil, err
	}
	if sum.Sum32() != e.CRC32 {
		return nil, fmt.Errorf("%s is damaged: its checksum is %08x, the archive says %08x", e.Name, sum.Sum32(), e.CRC32)
	}
	_, err = r.Seek(0, io.SeekStart)
	return r, err
}

// byteOrder reads the archive's byteorder, whose absence means little.
func byteOrder(f *os.File, size int64, e *zip.File) (big bool, err error) {
	if e == nil {
		return false, nil
	}
	r, err := checked(f, size, e, 16)
	if err != nil {
		return false, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return false, err
	}
	switch order := strings.TrimSpace(string(text)); order {
	case "little":
		return false, nil
	case "big":
		return true, nil
	default:
		return false, fmt.Errorf("%s is %q", e.Name, order)
	}
}
