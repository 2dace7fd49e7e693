package host

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse/fusetest"
)

func TestEngine(t *testing.T) { fusetest.Run(t, New()) }
