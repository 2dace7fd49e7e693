package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
)

// pairFlags tell which norm of a checkpoint follows which layer.
type pairFlags struct {
	graph, pairs string
	eps          float64
	keepNorms    bool
}

// printPairs is the value of inspect's --pairs where none is given.
const printPairs = "print"

func addPairs(cmd *cobra.Command, f *pairFlags) {
	flags := cmd.Flags()
	flags.StringVar(&f.graph, "graph", "", "for a checkpoint: take the pairs of layer and norm from this `MODEL.onnx`")
	flags.StringVar(&f.pairs, "pairs", "", "for a checkpoint: take the pairs from this `FILE`, or by the modules' names: names")
	flags.Float64Var(&f.eps, "eps", 0, "with --pairs: the norms' epsilon, where the pairs have none")
}

// takeValue lets --pairs have its value behind a space, although it may stand alone: of two arguments, the
// second is the value.
func (f *pairFlags) takeValue(args []string) []string {
	if f.pairs == printPairs && len(args) == 2 {
		f.pairs = args[1]
		return args[:1]
	}
	return args
}

// apply sets the options, or says what does not go together.
func (f *pairFlags) apply(o *bnfuse.Options) error {
	switch {
	case f.graph != "" && f.pairs != "":
		return usageError{errors.New("--graph and --pairs exclude each other")}
	case f.eps < 0 || f.eps != f.eps:
		return usageError{errors.New("--eps must be a positive number")}
	case f.eps != 0 && f.pairs == "":
		return usageError{errors.New("--eps belongs to --pairs: a graph has the norms' own epsilon")}
	case f.pairs == "names" && f.eps == 0:
		return usageError{errors.New("--pairs names needs --eps, which PyTorch prints with the model (its default is 1e-5)")}
	}
	o.Graph, o.Pairs, o.Eps, o.KeepNorms = f.graph, f.pairs, f.eps, f.keepNorms
	return nil
}

// explainPairs makes flags that the model is not made for a mistake on the command line.
func explainPairs(err error) error {
	if errors.Is(err, bnfuse.ErrNotCheckpoint) || errors.Is(err, bnfuse.ErrNotGraph) {
		return usageError{err}
	}
	return err
}
