package verify

// setPositions writes how many positions a window of the given kernel has along each axis of x but the first two, where
// that follows from the node's attributes: Operators.md gives the formulas. A size that is not known stays −1.
func (n *node) setPositions(x []int, kernel []int64, to []int) {
	if len(x) != len(kernel)+2 || len(to) != len(x) {
		return
	}
	up, ok := n.int("ceil_mode", 0)
	mode, given := "NOTSET", n.attr("auto_pad")
	if given != nil {
		mode = given.s
	}
	pads, okPads := n.ints("pads")
	if !ok || !okPads || up != 0 || mode != "NOTSET" && mode != "" && len(pads) > 0 {
		return
	}
	for i, k := range kernel {
		stride, ok1 := n.nth("strides", i, len(kernel), 1)
		apart, ok2 := n.nth("dilations", i, len(kernel), 1)
		before, ok3 := n.nth("pads", i, 2*len(kernel), 0)
		behind, ok4 := n.nth("pads", i+len(kernel), 2*len(kernel), 0)
		more, ok5 := n.nth("output_padding", i, len(kernel), 0)
		length := int64(x[2+i])
		const most = 1 << 31
		if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || length < 0 || length > most || k < 1 || k > most || stride < 1 || apart < 1 {
			continue
		}
		reach := (k-1)*apart + 1 // from the window's first element to its last
		size := int64(-1)
		switch {
		case mode == "SAME_UPPER" || mode == "SAME_LOWER":
			if n.op != "ConvTranspose" {
				size = (length + stride - 1) / stride
			}
		case mode != "NOTSET" && mode != "" && mode != "VALID":
		case n.op != "ConvTranspose":
			if free := length + before + behind - reach; free >= 0 {
				size = free/stride + 1
			}
		case n.attr("output_shape") == nil:
			size = (length-1)*stride + reach + more - before - behind
		}
		if size >= 0 {
			to[2+i] = int(size)
		}
	}
}

// nth is element i of a list of n sizes that an attribute gives, or what stands for an absent one.
func (n *node) nth(name string, i, all int, absent int64) (int64, bool) {
	switch list, ok := n.ints(name); {
	case !ok:
		return 0, false
	case len(list) == 0:
		return absent, true
	case len(list) != all || list[i] < absent || list[i] > 1<<31:
		return 0, false
	default:
		return list[i], true
	}
}
