package main

import "testing"

// Collections come when the heap reaches 32 MiB, or has grown by two fifths.
func TestPercentFor(t *testing.T) {
	const mib = 1 << 20
	for live, want := range map[int]int{0: 800, mib: 800, 4 * mib: 700, 8 * mib: 300, 16 * mib: 100, 24 * mib: 40, 100 * mib: 40} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB alive: %d %%, want %d", live/mib, got, want)
		}
	}
}
