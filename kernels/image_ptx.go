//go:build !fatbin

package kernels

// Image is what the driver loads: the PTX, which it compiles for its device.
func Image(name string) string { return PTX(name) }
