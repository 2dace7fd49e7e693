package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
	"github.com/bnfuse/bnfuse/verify"
)

// verifyFlags are how two models or folders are compared and how the result is shown.
type verifyFlags struct {
	pairs  pairFlags
	zoo    verify.ZooOptions
	graphs []string // GLOB=MODEL.onnx
	asJSON bool
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify ORIGINAL FUSED",
		Short: "Compute every fold again in high precision and compare",
		Long: `Find the norms that a fused model no longer has, compute the weights and biases that took them again from
the original, in numbers of 256 binary digits, and compare; everything else must be as it was. It shares
no code with what folds and trusts nothing that the fused model says of itself.

Of checkpoints, tell as fuse was told which norm follows which layer. Of two folders, each model of the one
is compared with its counterpart in the other. A checkpoint there takes its pairs from the first of these, as
in zoo: a --graphs pattern that matches it, the ONNX model beside it that has its stem, --graph or --pairs.

Exit code 1 means that something is wrong, is missing, or cannot be explained.`,
		Example: `  bnfuse verify resnet50.onnx resnet50.fused.onnx
  bnfuse verify resnet50.onnx resnet50.fused.onnx --json | jq '.layers[].weight.worst'
  bnfuse verify resnet50.pt resnet50.fused.safetensors --graph resnet50.onnx
  bnfuse verify models/ fused/ --graphs 'resnet/**=resnet50.onnx'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("two models or folders are wanted, the original and the fused one, and %d are given", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeModel(cmd, nil, toComplete)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.verify(cmd.Context(), args[0], args[1], f)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result as JSON instead of the table")
	addPairs(cmd, &f.pairs)
	cmd.Flags().StringArrayVar(&f.graphs, "graphs", nil, "for a folder: take the pairs of checkpoints that match from this model, `GLOB=MODEL.onnx`; may be repeated")
	cmd.Flags().StringArrayVar(&f.zoo.Include, "include", nil, "for a folder: only what this `GLOB` matches; may be repeated")
	cmd.Flags().StringArrayVar(&f.zoo.Exclude, "exclude", nil, "for a folder: not what this `GLOB` matches; may be repeated")
	cmd.Flags().IntVar(&f.zoo.Jobs, "jobs", 0, "for a folder: how many models to compare at once (default: one a processor)")
	cmd.Flags().BoolVarP(&a.verbose, "verbose", "v", false, "list all that is wrong, not only the first of it")
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "print no table, and what is wrong only as an error")
	return cmd
}

// How a comparison ends that found something; the table has said what.
var (
	errNotVerified = errors.New("it is not the original with norms folded")
	errUntold      = errors.New("whether it is the original with norms folded cannot be told")
)

// firstComplaints is how much of what is wrong with a model is listed without --verbose.
const firstComplaints = 20

// verified is the result for models or folders.
type verified interface {
	WriteTable(w io.Writer, width, most int) error
	WriteJSON(io.Writer) error
	Summary() string
	OK() bool
}

func (a *app) verify(ctx context.Context, original, fused string, f verifyFlags) error {
	r, err := a.compare(ctx, original, fused, f)
	if err != nil {
		return explainPairs(err)
	}
	if f.asJSON {
		err = r.WriteJSON(a.stdout)
	} else if !a.quiet {
		err = a.printVerified(r, fused)
	}
	if err != nil || r.OK() {
		return err
	}
	if one, ok := r.(*verify.Result); ok && one.Untold {
		return fmt.Errorf("%s: %w", printable(fused), errUntold)
	}
	return fmt.Errorf("%s: %w", printable(fused), errNotVerified)
}

func (a *app) printVerified(r verified, fused string) error {
	most := firstComplaints
	if a.verbose {
		most = 0
	}
	columns, _ := size(a.stdout)
	if err := r.WriteTable(a.stdout, columns, most); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "%s: %s\n", printable(fused), r.Summary())
	return err
}

func (a *app) compare(ctx context.Context, original, fused string, f verifyFlags) (verified, error) {
	var told bnfuse.Options
	if err := f.pairs.apply(&told); err != nil {
		return nil, err
	}
	o := f.zoo
	o.Options = verify.Options{Graph: told.Graph, Pairs: told.Pairs, Eps: told.Eps}
	if info, err := os.Stat(original); err != nil || !info.IsDir() {
		if len(f.graphs)+len(o.Include)+len(o.Exclude)+o.Jobs > 0 {
			return nil, usageError{fmt.Errorf("--graphs, --include, --exclude and --jobs are for folders, and %s is none", original)}
		}
		return bnfuse.Verify(ctx, original, fused, o.Options)
	}
	for _, rule := range f.graphs {
		pattern, _, graph, err := graphRule(rule)
		if err != nil {
			return nil, err
		}
		o.Graphs = append(o.Graphs, verify.PathGraph{Glob: pattern, Graph: graph})
	}
	progress := &compared{}
	o.Progress = progress.set
	a.status.show(progress)
	defer a.status.end()
	return bnfuse.VerifyZoo(ctx, original, fused, o)
}

// compared shows how many models of a folder have been compared.
type compared struct{ done, models atomic.Int64 }

func (c *compared) set(done, models int) {
	c.done.Store(int64(done))
	c.models.Store(int64(models))
}

func (c *compared) lines(now time.Time, _, _ int) []string {
	if line := c.plain(now); line != "" {
		return []string{line}
	}
	return nil
}

func (c *compared) plain(time.Time) string {
	if c.models.Load() == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d models compared", c.done.Load(), c.models.Load())
}
