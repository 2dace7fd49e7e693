package stream

import (
	"io"

	"github.com/bnfuse/bnfuse/internal/elem"
)

// ZeroChannels counts the channels of the norm after the layer (of the one before it, where there is none
// after) that held a weight other than zero and hold none once they are scaled, though the norm's scale is not
// zero. The tensor is n bytes of src from off on.
func (s *Scale) ZeroChannels(src io.ReaderAt, off, n int64) (int, error) {
	by := s.After
	if by.Scale == nil {
		by = s.Before
	}
	size := s.DType.Size()
	had, has := make([]bool, len(by.Scale)), make([]bool, len(by.Scale))
	buf, one := make([]byte, 64<<10), make([]byte, 8)
	for done := int64(0); done < n; done += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), n-done)]
		if got, err := src.ReadAt(buf, off+done); got < len(buf) {
			return 0, err
		}
		for i := 0; i < len(buf); i += size {
			x := elem.Load(s.DType, buf[i:])
			if x == 0 {
				continue
			}
			at := int(done+int64(i)) / size
			c := by.View.Channel(at)
			had[c] = true
			x *= by.Scale[c]
			if s.After.Scale != nil && s.Before.Scale != nil {
				x *= s.Before.Scale[s.Before.View.Channel(at)]
			}
			elem.Store(s.DType, one, x)
			has[c] = has[c] || by.Scale[c] == 0 || elem.Load(s.DType, one) != 0
		}
	}
	zeros := 0
	for c := range had {
		if had[c] && !has[c] {
			zeros++
		}
	}
	return zeros, nil
}
