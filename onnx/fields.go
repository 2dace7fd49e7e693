package onnx

// Field numbers of the messages of onnx.proto, but for those of TensorProto, which stand in tensor.go.
const (
	modelIRField       = 1
	modelGraphField    = 7
	modelOpsetField    = 8
	modelTrainingField = 20
	modelFunctionField = 25

	opsetDomainField  = 1
	opsetVersionField = 2

	trainingInitField      = 1
	trainingAlgorithmField = 2

	graphNodeField       = 1
	graphNameField       = 2
	graphTensorField     = 5 // initializer
	graphDocField        = 10
	graphInputField      = 11
	graphOutputField     = 12
	graphValueInfoField  = 13
	graphAnnotationField = 14
	graphSparseField     = 15 // sparse_initializer
	graphMetadataField   = 16

	functionNameField      = 1
	functionInputField     = 4
	functionOutputField    = 5
	functionNodeField      = 7
	functionOpsetField     = 9
	functionDomainField    = 10
	functionAttributeField = 11
	functionValueInfoField = 12

	nodeInputField     = 1
	nodeOutputField    = 2
	nodeNameField      = 3
	nodeOpField        = 4
	nodeAttributeField = 5
	nodeDomainField    = 7
	nodeOverloadField  = 8

	attrNameField    = 1
	attrFloatField   = 2
	attrIntField     = 3
	attrStringField  = 4
	attrTensorField  = 5
	attrGraphField   = 6
	attrFloatsField  = 7
	attrIntsField    = 8
	attrTensorsField = 10
	attrGraphsField  = 11
	attrDocField     = 13
	attrTypeField    = 20
	attrRefField     = 21
	attrSparseField  = 22
	attrSparsesField = 23

	infoNameField = 1 // of ValueInfoProto, and of TensorAnnotation
	infoTypeField = 2

	annotationParamField = 2

	typeTensorField  = 1 // of TypeProto: its Tensor
	typeElemField    = 1 // of Tensor
	typeShapeField   = 2
	shapeDimField    = 1
	dimValueField    = 1
	sparseDataField  = 1
	sparseIndexField = 2

	entryKeyField   = 1 // of StringStringEntryProto
	entryValueField = 2
)
