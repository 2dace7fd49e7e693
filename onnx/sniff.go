package onnx

import (
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Sniff tells whether a file of size bytes is an ONNX model. A model has no mark, and a walk over a folder
// asks about every file, so the top level of the message is walked, which costs a few small reads: it must
// have the fields of a ModelProto and no others, to the file's last byte, among them an ir_version and a
// graph. What is inside is for FuseFile to judge; what cannot be read is no model.
func Sniff(r io.ReaderAt, size int64) bool {
	f := newFile(r, size, sniffWindow)
	hasIR, hasGraph := false, false
	c := f.cursor(span{0, size})
	for n := 0; n < maxSniffed && c.next(); n++ {
		if want, ok := modelFields[c.num]; !ok || c.typ != want {
			return false
		}
		switch c.num {
		case modelIRField:
			hasIR = true
		case modelGraphField:
			hasGraph = true
			if !beginsLikeGraph(f, c.body) {
				return false
			}
		}
	}
	return c.err == nil && hasIR && hasGraph
}

// Sniff reads sniffWindow bytes at a time, and believes a file that has maxSniffed fields without a flaw: a
// file of nothing but tiny fields should not be walked for long.
const (
	sniffWindow = 256
	maxSniffed  = 1 << 14
)

// modelFields are the wire types of ModelProto's fields, from ir_version to configuration.
var modelFields = map[protowire.Number]protowire.Type{
	1: protowire.VarintType, 2: protowire.BytesType, 3: protowire.BytesType, 4: protowire.BytesType,
	5: protowire.VarintType, 6: protowire.BytesType, 7: protowire.BytesType, 8: protowire.BytesType,
	14: protowire.BytesType, 20: protowire.BytesType, 25: protowire.BytesType, 26: protowire.BytesType,
}

// beginsLikeGraph looks at the first field of a GraphProto: all of them are messages or strings.
func beginsLikeGraph(f *file, body span) bool {
	c := f.cursor(body)
	if !c.next() {
		return c.err == nil // empty
	}
	switch c.num {
	case graphNodeField, graphNameField, graphTensorField, graphDocField, graphInputField, graphOutputField,
		graphValueInfoField, graphAnnotationField, graphSparseField, graphMetadataField:
		return c.typ == protowire.BytesType
	}
	return false
}
