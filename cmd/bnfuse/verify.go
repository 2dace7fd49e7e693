package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
)

func (a *app) verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify ORIGINAL FUSED",
		Short: "Compute every fold again in high precision and compare",
		Long: `Find the norms that a fused ONNX model no longer has, compute the weights and biases that took them again
from the original, in numbers of 256 binary digits, and compare; everything else must be as it was. It
shares no code with what folds and trusts nothing that the fused model says of itself. Exit code 1 means
that something is wrong, or cannot be explained.`,
		Example: `  bnfuse verify resnet50.onnx resnet50.fused.onnx
  bnfuse verify resnet50.onnx resnet50.fused.onnx --json | jq '.layers[].weight.worst'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("two models are wanted, the original and the fused one, and %d are given", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"onnx"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.verify(cmd.Context(), args[0], args[1], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON instead of the table")
	return cmd
}

// errNotVerified ends a comparison that found something; the table has said what.
var errNotVerified = errors.New("the fused model is not the original with norms folded")

func (a *app) verify(ctx context.Context, original, fused string, asJSON bool) error {
	r, err := bnfuse.Verify(ctx, original, fused)
	if err != nil {
		return err
	}
	if asJSON {
		err = r.WriteJSON(a.stdout)
	} else if err = r.WriteTable(a.stdout); err == nil {
		_, err = fmt.Fprintf(a.stdout, "%s: %s\n", fused, r.Summary())
	}
	if err == nil && !r.OK() {
		return fmt.Errorf("%s: %w", fused, errNotVerified)
	}
	return err
}
