package checkpoint

import "github.com/bnfuse/bnfuse/fuse"

// Why a norm of a checkpoint stays, besides the reasons of package fuse.
const (
	ReasonNoPairs   fuse.Reason = "which layer it follows is unknown"
	ReasonMissing   fuse.Reason = "tensor is not in the checkpoint"
	ReasonUnread    fuse.Reason = "graph does not read a tensor of the module"
	ReasonOther     fuse.Reason = "graph is of another network"
	ReasonAmbiguous fuse.Reason = "names do not tell the layer"
	ReasonNeutral   fuse.Reason = "norm is neutral already"
	ReasonNoBias    fuse.Reason = "no bias to keep the shift in"
	ReasonBlocked   fuse.Reason = "a norm that stays stands between"
)
