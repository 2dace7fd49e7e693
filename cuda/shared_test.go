//go:build cuda && cgo

package cuda

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse/fusetest"
)

func TestSharedTable(t *testing.T) { fusetest.Run(t, open(t)) }
