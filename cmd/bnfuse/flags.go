package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// oneModel wants exactly one argument.
func oneModel(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("the MODEL is missing")
	case len(args) > 1 && cmd.Flags().Lookup("output") != nil:
		return fmt.Errorf("one MODEL is wanted and %d are given; -o names the output", len(args))
	case len(args) > 1:
		return fmt.Errorf("one MODEL is wanted and %d are given", len(args))
	}
	return nil
}

// explainFlag adds to an unknown flag the one that was probably meant.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	best, nearest := "", 3 // as many changes make another word
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := distance(unknown.GetSpecifiedName(), f.Name); d < nearest {
			best, nearest = f.Name, d
		}
	})
	if best == "" {
		return err
	}
	return fmt.Errorf("%w; did you mean --%s?", err, best)
}

// distance is the number of bytes to insert, delete or replace that makes b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // distances of a[:i] to every b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := min(row[j]+1, row[j+1]+1, diagonal+1)
			if a[i] == b[j] {
				d = min(d, diagonal)
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
