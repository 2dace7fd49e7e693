package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
)

// entry is a tensor of the output and where its bytes go, counted from the end of the header.
type entry struct {
	name   string
	dtype  string
	shape  []int
	off    int64
	nBytes int64
}

// encodeHeader writes the length and the JSON of a safetensors header, padded to a multiple of 8 bytes. nil
// metadata are left out.
func encodeHeader(entries []entry, metadata []metadatum) []byte {
	b := make([]byte, 8, 8+128*len(entries))
	b = append(b, '{')
	if metadata != nil {
		b = append(b, `"__metadata__":{`...)
		for i, m := range metadata {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(appendText(b, m.key), ':'), quoted(m.value)...)
		}
		b = append(b, '}')
	}
	for i, e := range entries {
		if i > 0 || metadata != nil {
			b = append(b, ',')
		}
		b = append(appendText(b, e.name), `:{"dtype":`...)
		b = append(appendText(b, e.dtype), `,"shape":[`...)
		for j, d := range e.shape {
			if j > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(d), 10)
		}
		b = append(b, `],"data_offsets":[`...)
		b = append(strconv.AppendInt(b, e.off, 10), ',')
		b = append(strconv.AppendInt(b, e.off+e.nBytes, 10), "]}"...)
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b
}

func appendText(b []byte, s string) []byte { return append(b, quoted(s)...) }

// quoted is s as a JSON string.
func quoted(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string can always be encoded
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
