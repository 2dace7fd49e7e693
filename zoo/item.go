package zoo

import "io/fs"

// item is one thing of a zoo: a model with all its files, or another file that goes along.
//
// Paths are relative to the folder and have slashes. To fold a model, open it by its path, not by its
// source: external data and shards are looked for beside the name, and a link's target lies elsewhere.
type item struct {
	path   string
	source string      // the file to open for its bytes: the path's own, or the one a link leads to; for the operating system
	format string      // formatONNX, checkpoint.Safetensors or checkpoint.PyTorch; "" for another file
	info   fs.FileInfo // of source

	parts []string // a sharded checkpoint's shards: paths, and no items of their own
	data  []string // an ONNX model's external data: likewise; two models may share one
	size  int64    // of source, parts and data in bytes
	graph string   // the ONNX model beside a checkpoint that has its stem: to open, "" for none

	dataName string // of the new file for external data, where the usual one is another's; see onnx's Options

	link string // of a link to a folder of the zoo: where it leads, relative to its own folder; nothing else is set
	same string // the path of an earlier item of which every file is the same: done once, then linked or copied
	err  error  // it is damaged or must not be read; names no path
}

// formatONNX is the format of an ONNX model, as reports name it.
const formatONNX = "onnx"

// isModel reports whether something is to be folded, or would be if it could be read.
func (i *item) isModel() bool { return i.format != "" }
