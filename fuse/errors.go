package fuse

import (
	"errors"
	"fmt"
)

// Errors of views: the weight's shape does not suit its layer.
var (
	errShape  = errors.New("the shape has a negative axis or too many elements")
	errRank   = errors.New("the rank does not suit the layer: a convolution needs 3 axes or more, a linear layer 2")
	errGroups = errors.New("groups must be positive and divide the first axis; a linear layer has 1")
)

// ErrDeviceLost is wrapped by an engine's error when its device can no longer be used: out of memory,
// a failed launch, a lost device. The work can be done again on another engine.
var ErrDeviceLost = errors.New("device lost")

// Refusal is why a norm is not folded. It is an error only on the way to the plan, where it becomes a
// [Skip].
type Refusal struct {
	Reason Reason
	Detail string
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Refuse makes a refusal with a formatted detail.
func Refuse(reason Reason, format string, args ...any) *Refusal {
	return refuse(reason, format, args...)
}
