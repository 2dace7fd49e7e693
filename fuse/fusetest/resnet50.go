package fusetest

// ResNet50Weights is how many weights its convolutions have, as torchvision counts them.
const ResNet50Weights = 23_454_912

// ResNet50 lists the weights of a ResNet-50's convolutions, [Cout, Cin, kH, kW]. A batch normalization follows each.
func ResNet50() (shapes [][]int) {
	shapes = append(shapes, []int{64, 3, 7, 7})
	in := 64
	for stage, blocks := range []int{3, 4, 6, 3} {
		width := 64 << stage
		for block := range blocks {
			shapes = append(shapes, []int{width, in, 1, 1}, []int{width, width, 3, 3}, []int{4 * width, width, 1, 1})
			if block == 0 {
				shapes = append(shapes, []int{4 * width, in, 1, 1})
			}
			in = 4 * width
		}
	}
	return shapes
}
