package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// measurement is what one run of the benchmarks printed.
type measurement struct {
	cpu     string
	rows    []row
	leftOut []string // what was not there to be measured
}

// row is a benchmark's line.
type row struct {
	name   string // without "Benchmark" and the number of processors
	values map[string]float64
}

var (
	benchmarkLine = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(\S.*)$`)
	leftOutLine   = regexp.MustCompile(`^\s+\w+_test\.go:\d+: (.* is left out.*)$`)
)

func parse(in io.Reader) (*measurement, error) {
	m := &measurement{}
	s := bufio.NewScanner(in)
	for s.Scan() {
		line := s.Text()
		if cpu, ok := strings.CutPrefix(line, "cpu: "); ok {
			m.cpu = cpu
		} else if found := leftOutLine.FindStringSubmatch(line); found != nil && !slices.Contains(m.leftOut, found[1]) {
			m.leftOut = append(m.leftOut, found[1])
		} else if found := benchmarkLine.FindStringSubmatch(line); found != nil {
			values, err := parseValues(found[2])
			if err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			m.rows = append(m.rows, row{found[1], values})
		}
	}
	return m, s.Err()
}

// parseValues reads numbers, each followed by its unit.
func parseValues(text string) (map[string]float64, error) {
	fields := strings.Fields(text)
	if len(fields)%2 != 0 {
		return nil, fmt.Errorf("a number without a unit")
	}
	values := map[string]float64{}
	for ; len(fields) > 0; fields = fields[2:] {
		x, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, err
		}
		values[fields[1]] = x
	}
	return values, nil
}
