package fusetest

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

func TestResNet50(t *testing.T) {
	elems := 0
	for _, s := range ResNet50() {
		n, _ := fuse.NumElems(s)
		elems += n
	}
	if len(ResNet50()) != 53 || elems != ResNet50Weights {
		t.Errorf("%d layers with %d weights, want 53 with %d", len(ResNet50()), elems, ResNet50Weights)
	}
}
