package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
)

func (a *app) inspectCommand() *cobra.Command {
	var device string
	var asJSON bool
	var pairs pairFlags
	cmd := &cobra.Command{
		Use:   "inspect MODEL|DIR",
		Short: "Show where every norm of a model would go, or why it stays",
		Long: `Show every batch normalization of an ONNX model, and every per-channel Mul, Add, Sub or Div by a constant
that is one written out: the layer it would be folded into, or the reason why it stays. Nothing is written.

Of an ONNX model, --pairs without a value prints a pairs file instead, for checkpoints of the same network.
Of a checkpoint, --graph or --pairs=FILE tells which norm follows which layer. Of a folder, a line for each
model is shown, as by zoo --dry-run.`,
		Example: `  bnfuse inspect densenet121.onnx
  bnfuse inspect densenet121.onnx --json | jq '.norms[] | select(.status == "kept") | .reason'
  bnfuse inspect resnet50.onnx --pairs > pairs.yaml
  bnfuse inspect resnet50.pt --pairs=pairs.yaml
  bnfuse inspect models`,
		Args: func(cmd *cobra.Command, args []string) error {
			return oneModel(cmd, pairs.takeValue(args))
		},
		ValidArgsFunction: completeModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := bnfuse.Options{Device: device, Log: a.log}
			if pairs.pairs == printPairs && asJSON {
				return usageError{errors.New("--pairs alone prints a pairs file, which is YAML; --json has no part in it")}
			}
			if pairs.pairs == printPairs && isFolder(args[0]) {
				return usageError{fmt.Errorf("%s is a folder: pairs are printed of one model", args[0])}
			}
			if pairs.pairs == printPairs {
				return explainPairs(bnfuse.WritePairs(cmd.Context(), a.stdout, args[0], o))
			}
			if err := pairs.apply(&o); err != nil {
				return err
			}
			if isFolder(args[0]) {
				return a.inspectZoo(cmd, args[0], o, asJSON)
			}
			m, err := bnfuse.Inspect(cmd.Context(), args[0], o)
			if err != nil {
				return explainPairs(err)
			}
			if asJSON {
				return m.WriteJSON(a.stdout)
			}
			columns, _ := size(a.stdout)
			if err := m.WriteTable(a.stdout, columns); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%s: %s\n", printable(m.Input), m.Summary())
			return err
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON instead of the table")
	addPairs(cmd, &pairs)
	cmd.Flags().Lookup("pairs").NoOptDefVal = printPairs
	addDevice(cmd, &device)
	return cmd
}
