//go:build fatbin

package kernels

import "embed"

//go:embed *.fatbin
var fatbins embed.FS

// Image is what the driver loads: machine code for several devices, and the PTX for the others.
func Image(name string) string {
	image, err := fatbins.ReadFile(name + ".fatbin")
	if err != nil {
		panic("kernels: no kernel is called " + name)
	}
	return string(image)
}
