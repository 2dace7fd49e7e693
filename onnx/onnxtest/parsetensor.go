package onnxtest

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

func (t *Tensor) parse(b []byte) error {
	var raw []byte
	var hasRaw bool
	var typed typedFields
	err := eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			return f.each(protowire.VarintType, func(x uint64) { t.Dims = append(t.Dims, int64(x)) })
		case 2:
			t.Elem = ElemType(f.int())
		case 4:
			return typed.add(f, protowire.Fixed32Type)
		case 5, 7, 11:
			return typed.add(f, protowire.VarintType)
		case 6:
			t.Text = append(t.Text, f.string())
		case 8:
			t.Name = f.string()
		case 9:
			raw, hasRaw = f.bytes, true
		case 10:
			return typed.add(f, protowire.Fixed64Type)
		case 12:
			t.Doc = f.string()
		case 13:
			return appendParsed(&t.External.Entries, f, (*Entry).parse)
		case 14:
			if f.int() == 1 {
				t.Encoding = InFile
			}
		default:
			t.Unknown = append(t.Unknown, f.whole...)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case t.Encoding == InFile:
		return t.parseEntries()
	case t.Elem == Text:
		return nil
	case hasRaw || !typed.packed && !typed.single: // an empty tensor has no data at all
		return t.setRaw(raw)
	}
	t.Encoding = typed.encoding()
	return t.setBits(typed.values)
}

// typedFields gathers float_data, int32_data and their like.
type typedFields struct {
	values         []uint64
	packed, single bool
}

func (d *typedFields) add(f wireField, typ protowire.Type) error {
	if f.typ == protowire.BytesType {
		d.packed = true
	} else {
		d.single = true
	}
	return f.each(typ, func(x uint64) { d.values = append(d.values, x) })
}

func (d *typedFields) encoding() Encoding {
	switch {
	case d.packed && d.single:
		return Mixed
	case d.packed:
		return Packed
	}
	return Unpacked
}

// parseEntries takes the entries apart. Those no exporter writes stay in Entries.
func (t *Tensor) parseEntries() error {
	x := External{NoOffset: true, NoLength: true}
	for _, e := range t.External.Entries {
		var err error
		switch e.Key {
		case "location":
			x.Location = e.Value
		case "offset":
			x.NoOffset = false
			x.Offset, err = strconv.ParseInt(e.Value, 10, 64)
		case "length":
			x.NoLength = false
			_, err = strconv.ParseInt(e.Value, 10, 64)
		default:
			x.Entries = t.External.Entries
		}
		if err != nil {
			return fmt.Errorf("tensor %q: external %s: %w", t.Name, e.Key, err)
		}
	}
	t.External = x
	return nil
}

// Load reads the model's external tensors out of the files, by their locations.
func (m *Model) Load(files map[string][]byte) error {
	var first error
	m.EachTensor(func(t *Tensor) {
		if t.Encoding != InFile || first != nil {
			return
		}
		file, ok := files[t.External.Location]
		at, n := t.External.Offset, int64(t.NumElem()*t.Elem.Size())
		if !ok || at < 0 || at+n > int64(len(file)) {
			first = fmt.Errorf("onnxtest: tensor %q: %d bytes at %d are not in %q, which has %d",
				t.Name, n, at, t.External.Location, len(file))
			return
		}
		first = t.setRaw(file[at : at+n])
	})
	return first
}

// setRaw takes the elements out of little-endian bytes.
func (t *Tensor) setRaw(raw []byte) error {
	size := t.Elem.Size()
	if size == 0 || len(raw)%size != 0 {
		return fmt.Errorf("tensor %q: %d bytes do not make elements of type %d", t.Name, len(raw), t.Elem)
	}
	bits := make([]uint64, len(raw)/size)
	for i, b := range raw {
		bits[i/size] |= uint64(b) << (8 * (i % size))
	}
	return t.setBits(bits)
}

func (t *Tensor) setBits(bits []uint64) error {
	if len(bits) != t.NumElem() {
		return fmt.Errorf("tensor %q: %d elements, dims %v need %d", t.Name, len(bits), t.Dims, t.NumElem())
	}
	t.Bits, t.Data = make([]uint64, len(bits)), make([]float64, len(bits))
	for i, x := range bits {
		t.Data[i] = t.Elem.value(x)
		t.Bits[i] = x & (^uint64(0) >> (64 - 8*t.Elem.Size())) // int32_data extends the sign
	}
	return nil
}
