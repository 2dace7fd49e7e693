// Package onnxtest helps to test programs that rewrite ONNX models, as net/http/httptest does for
// HTTP.
//
// [Model] and its parts are the ONNX format as plain Go values. [Model.Bytes] writes them as a file,
// in the usual form or in the odd ones that protobuf allows too ([Wire], [Encoding]); [Parse] reads a
// file back. [Eval] runs a model in float64 without rounding to the tensors' types, so it tells a
// wrong fold from a rounded one; [Compare] runs two models on the same random inputs.
// [Cases] is the shared table of small models, each with what must become of its norms and why.
//
// The package is independent of package onnx, which it checks: they share no code. It is written to
// be plain, and reads whole files into memory. It does not validate: a model that is wrong on purpose
// can be built too. Building panics where the description itself makes no sense (a value that
// its encoding cannot hold), which is a mistake in a test.
package onnxtest
