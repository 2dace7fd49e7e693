package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
)

func (a *app) inspectCommand() *cobra.Command {
	var device string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show where every norm of a model would go, or why it stays",
		Long: `Show every batch normalization of an ONNX model, and every per-channel Mul, Add, Sub or Div by a constant
that is one written out: the layer it would be folded into, or the reason why it stays. Nothing is written.`,
		Example: `  bnfuse inspect densenet121.onnx
  bnfuse inspect densenet121.onnx --json | jq '.norms[] | select(.status == "kept") | .reason'`,
		Args:              oneModel,
		ValidArgsFunction: completeModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := bnfuse.Inspect(cmd.Context(), args[0], bnfuse.Options{Device: device, Log: a.log})
			if err != nil {
				return err
			}
			if asJSON {
				return m.WriteJSON(a.stdout)
			}
			if err := m.WriteTable(a.stdout, width(a.stdout)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%s: %s\n", m.Input, m.Summary())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON instead of the table")
	addDevice(cmd, &device)
	return cmd
}

// width is the number of characters in a line, 0 where w is no terminal.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		return columns(f)
	}
	return 0
}
