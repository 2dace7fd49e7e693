package fuse

// Reason is why a norm stays. The text is stable: reports and tests compare it.
type Reason string

// Where the norm stands.
const (
	ReasonNoLayer       Reason = "no layer beside it"
	ReasonOutputShared  Reason = "layer output has another use"
	ReasonAxis          Reason = "channel axis not proven"
	ReasonPadding       Reason = "norm before a padded layer"
	ReasonTranspose     Reason = "norm before a transposed convolution"
	ReasonDropout       Reason = "dropout is active or unproven"
	ReasonBroadcast     Reason = "constant is not per channel"
	ReasonForeign       Reason = "operator of another domain"
	ReasonName          Reason = "name is not unique"
	ReasonLayerShared   Reason = "layer is used more than once"
	ReasonNotSelected   Reason = "layer type not selected"
	ReasonUnsupportedOp Reason = "operator form not supported"
)

// What the norm is.
const (
	ReasonTraining    Reason = "norm is in training mode"
	ReasonSpatial     Reason = "norm is not per channel"
	ReasonNormParams  Reason = "norm parameter is not constant"
	ReasonChannels    Reason = "channel counts disagree"
	ReasonNotFinite   Reason = "norm parameter or scale is not finite"
	ReasonVariance    Reason = "variance plus epsilon is not positive"
	ReasonDivision    Reason = "division by zero or by the layer output"
	ReasonUnknownAttr Reason = "attribute not understood"
)

// What the layer is.
const (
	ReasonWeight       Reason = "weight is not a stored constant"
	ReasonBias         Reason = "bias is not a stored constant"
	ReasonOverridable  Reason = "constant is a graph input and can be overridden"
	ReasonDType        Reason = "weight type cannot be scaled"
	ReasonLayerShape   Reason = "weight shape does not suit the layer"
	ReasonOverflow     Reason = "weight or bias would become infinite"
	ReasonTrainingInfo Reason = "model carries training info"
)
