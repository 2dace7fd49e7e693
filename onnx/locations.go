package onnx

import (
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Locations lists the files in which the model r of size bytes keeps tensors, as it names them: relative to
// its own folder, with slashes, each once, in the order of first use. None of them is looked at, so they may
// be missing or lead anywhere. A model whose messages are damaged is an error; what they mean is not asked,
// so that a walk over a folder can afford to call this for every model.
func Locations(r io.ReaderAt, size int64) ([]string, error) {
	l := locator{f: newFile(r, size, locateWindow), seen: map[string]bool{}}
	if err := l.visit(modelMessage, span{0, size}, 0); err != nil {
		return nil, err
	}
	return l.list, nil
}

// locateWindow is small because of most models only the headers of tensors are read, far from each other.
const locateWindow = 2 << 10

// locator collects locations.
type locator struct {
	f    *file
	list []string
	seen map[string]bool
}

// message is one of the messages on the way to a tensor.
type message int

const (
	none message = iota
	modelMessage
	graphMessage
	functionMessage
	trainingMessage
	nodeMessage
	attributeMessage
	sparseMessage
	tensorMessage
)

// within are the messages that lead to a tensor, by the field of the message that they stand in.
var within = map[message]map[protowire.Number]message{
	modelMessage:    {modelGraphField: graphMessage, modelTrainingField: trainingMessage, modelFunctionField: functionMessage},
	trainingMessage: {trainingInitField: graphMessage, trainingAlgorithmField: graphMessage},
	graphMessage:    {graphNodeField: nodeMessage, graphTensorField: tensorMessage, graphSparseField: sparseMessage},
	functionMessage: {functionNodeField: nodeMessage, functionAttributeField: attributeMessage},
	nodeMessage:     {nodeAttributeField: attributeMessage},
	attributeMessage: {attrTensorField: tensorMessage, attrTensorsField: tensorMessage, attrGraphField: graphMessage, attrGraphsField: graphMessage,
		attrSparseField: sparseMessage, attrSparsesField: sparseMessage},
	sparseMessage: {sparseDataField: tensorMessage, sparseIndexField: tensorMessage},
}

// visit goes through a message and all that are in it.
func (l *locator) visit(kind message, s span, depth int) error {
	if depth > 3*maxDepth {
		return errors.New("messages nest too deep")
	}
	fields := within[kind]
	c := l.f.cursor(s)
	for c.next() {
		inner := fields[c.num]
		switch {
		case kind == tensorMessage && c.num == tensorExternal:
			if err := l.entry(c); err != nil {
				return err
			}
		case inner != none && c.message():
			if err := l.visit(inner, c.body, depth+1); err != nil {
				return err
			}
		}
	}
	return c.err
}

// entry looks at an entry of a tensor's external_data.
func (l *locator) entry(c *cursor) error {
	if !c.message() {
		return c.err
	}
	key, value, err := entry(l.f, c.body)
	if err == nil && key == "location" && !l.seen[value] {
		l.seen[value] = true
		l.list = append(l.list, value)
	}
	return err
}
