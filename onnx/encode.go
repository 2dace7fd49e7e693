package onnx

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// externalAlign is where new external data begin: at a memory page, as the specification advises.
const externalAlign = 4096

func align(n, to int64) int64 { return (n + to - 1) / to * to }

func appendString(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

func appendBytes(b []byte, num protowire.Number, msg []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), msg)
}

// nested wraps chunks as field num of a message. The first chunk is literal and takes in the header.
func nested(num protowire.Number, body []chunk) []chunk {
	first, n := body[0].bytes, uint64(chunksLen(body))
	b := make([]byte, 0, protowire.SizeTag(num)+protowire.SizeVarint(n)+len(first))
	b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), n)
	body[0].bytes = append(b, first...)
	return body
}

// tensorProto encodes a TensorProto with raw_data. The data stay a chunk of their own: a bias may be
// filled in later.
func tensorProto(name string, dataType int32, dims []int, data chunk) []chunk {
	head := protowire.AppendTag(tensorHead(name, dataType, dims), tensorRaw, protowire.BytesType)
	return []chunk{{bytes: protowire.AppendVarint(head, uint64(data.len()))}, data}
}

func tensorHead(name string, dataType int32, dims []int) []byte {
	var b []byte
	for _, d := range dims {
		b = appendInt(b, tensorDims, int64(d))
	}
	return appendString(appendInt(b, tensorType, int64(dataType)), tensorName, name)
}

// externalProto encodes a TensorProto whose data lie in the new data file.
func (e *editor) externalProto(name string, dataType int32, dims []int, offset, length int64) []byte {
	b := append(tensorHead(name, dataType, dims), externalEntries(e.dataName, offset, length)...)
	return appendInt(b, tensorLocation, 1)
}

// externalEntries encodes TensorProto.external_data.
func externalEntries(location string, offset, length int64) []byte {
	var b []byte
	for _, kv := range [...][2]string{
		{"location", location},
		{"offset", strconv.FormatInt(offset, 10)},
		{"length", strconv.FormatInt(length, 10)},
	} {
		b = appendBytes(b, tensorExternal, appendString(appendString(nil, entryKeyField, kv[0]), entryValueField, kv[1]))
	}
	return b
}

// inputProto encodes the graph input that an initializer must have before IR version 4.
func inputProto(name string, dataType int32, dims []int) []byte {
	var shape []byte
	for _, d := range dims {
		shape = appendBytes(shape, shapeDimField, appendInt(nil, dimValueField, int64(d)))
	}
	typ := appendBytes(nil, typeTensorField, appendBytes(appendInt(nil, typeElemField, int64(dataType)), typeShapeField, shape))
	return appendBytes(nil, graphInputField, appendBytes(appendString(nil, infoNameField, name), infoTypeField, typ))
}
