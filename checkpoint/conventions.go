package checkpoint

import (
	"slices"
	"strconv"
	"strings"
)

// blocks are modules whose norms are numbered while their layers are called after what they do. Each norm
// follows the layer named before it. They are timm's: _efficientnet_blocks.py, efficientnet.py, mobilenetv3.py.
var blocks = [][]string{
	{"conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"}, // InvertedResidual
	{"conv_dw", "bn1", "conv_pw", "bn2"},                    // DepthwiseSeparableConv
	{"conv_exp", "bn1", "conv_pwl", "bn2"},                  // EdgeResidual
	{"conv", "bn1"},                                         // ConvBnAct
	{"conv_stem", "bn1", "conv_head", "bn2"},                // EfficientNet
	{"conv_stem", "bn1", "conv_head"},                       // MobileNetV3, whose head has no norm
}

// siblings lists the modules called conv… and bn… by the module they are in: "conv1" and "bn1" of "layer1.0".
type siblings map[string][]string

func siblingsIn(c *container) siblings {
	s, seen := siblings{}, map[string]bool{}
	for _, t := range c.tensors() {
		module, _, ok := cutLast(t.name)
		if !ok || seen[module] {
			continue
		}
		seen[module] = true
		parent, child, _ := cutLast(module)
		if strings.HasPrefix(child, "conv") || strings.HasPrefix(child, "bn") {
			s[parent] = append(s[parent], child)
		}
	}
	return s
}

// cutLast splits a name at its last dot. Without one, all of it is the last component.
func cutLast(name string) (parent, last string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

// layerName is what the layer before a norm of the given name is called. Modules of a Sequential run in the
// order of their numbers.
func (s siblings) layerName(norm string) (layer string, sequential, ok bool) {
	parent, last, _ := cutLast(norm)
	if n, err := strconv.ParseUint(last, 10, 31); err == nil && n > 0 && last == strconv.FormatUint(n, 10) {
		return dotted(parent, strconv.FormatUint(n-1, 10)), true, true
	}
	suffix, ok := strings.CutPrefix(last, "bn")
	if !ok {
		return "", false, false
	}
	if name := inBlock(s[parent], last); name != "" {
		return dotted(parent, name), false, true
	}
	return dotted(parent, "conv"+suffix), false, true
}

// inBlock is the layer that a norm follows in a block of the given children, "" where they are none. Pairs that
// are called alike, as conv_s2d and bn_s2d, may be there too.
func inBlock(children []string, norm string) string {
	if len(children) > 32 {
		return "" // more than any block has, even with such pairs
	}
	var own []string
	for _, name := range children {
		conv, isConv := strings.CutPrefix(name, "conv")
		bn, isNorm := strings.CutPrefix(name, "bn")
		if isConv && !slices.Contains(children, "bn"+conv) || isNorm && !slices.Contains(children, "conv"+bn) {
			own = append(own, name)
		}
	}
	slices.Sort(own)
	for _, block := range blocks {
		if i := slices.Index(block, norm); i > 0 && slices.Equal(own, slices.Sorted(slices.Values(block))) {
			return block[i-1]
		}
	}
	return ""
}
