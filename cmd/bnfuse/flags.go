package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bnfuse/bnfuse/zoo"
)

// oneModel wants exactly one argument.
func oneModel(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("the MODEL is missing")
	case len(args) > 1 && cmd.Flags().Lookup("output") != nil:
		return fmt.Errorf("one MODEL is wanted and %d are given; -o names the output, and zoo takes a folder of models", len(args))
	case len(args) > 1:
		return fmt.Errorf("one MODEL is wanted and %d are given", len(args))
	case args[0] == "":
		return errors.New("the MODEL is an empty name")
	case args[0] == "-":
		return errors.New("the MODEL must be a file: standard input is read from the front to the back, and a model is not")
	}
	return nil
}

// noVerb refuses an argument where a verb is wanted, and names the one that was probably meant.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("there is no verb %q", args[0])
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(s, " or "))
	}
	return err
}

// noArguments is for verbs that take flags alone.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument, and %q is given", cmd.Name(), args[0])
	}
	return nil
}

// graphRule takes a --graphs flag apart: checkpoints that match the glob get their pairs from a graph.
func graphRule(rule string) (pattern string, glob zoo.Glob, graph string, err error) {
	pattern, graph, _ = strings.Cut(rule, "=")
	if pattern == "" || graph == "" {
		return "", glob, "", usageError{fmt.Errorf("--graphs %q: GLOB=MODEL.onnx is wanted", rule)}
	}
	if glob, err = zoo.ParseGlob(pattern); err != nil {
		return "", glob, "", usageError{err}
	}
	return pattern, glob, graph, nil
}

// refuseUnknown lets the verbs that cobra brings along refuse what they do not know. By themselves they print
// a help text and succeed.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err != nil {
					return err
				}
				return noVerb(found, rest)
			}
		case "completion":
			cmd.Args = nil
			cmd.RunE = func(_ *cobra.Command, args []string) error {
				if len(args) > 0 {
					return usageError{fmt.Errorf("there is no completion for %q, only for bash, zsh, fish and powershell", args[0])}
				}
				return usageError{errors.New("a shell is missing: bash, zsh, fish or powershell")}
			}
		}
	}
}

// explainFlag says what kind of value a flag wants, and adds to an unknown flag the one that was probably meant.
func explainFlag(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		if wants := map[string]string{"int": "a whole number", "float64": "a number"}[invalid.GetFlag().Value.Type()]; wants != "" {
			return fmt.Errorf("--%s %q: %s is wanted", invalid.GetFlag().Name, invalid.GetValue(), wants)
		}
	}
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
