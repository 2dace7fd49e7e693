package host

import (
	"github.com/bnfuse/bnfuse/fuse"
)

func (t *table) contract(slab []byte, c *fuse.Contraction) { ReferenceContract(slab, c) }
