package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
)

func (a *app) devicesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "devices",
		Short: "List the engines found, and say why one is missing",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			list, missing := bnfuse.Devices()
			for _, d := range list {
				facts := []string{d.Model}
				if d.ComputeCapability != "" {
					facts = append(facts, "compute capability "+d.ComputeCapability)
				}
				if d.MemoryBytes > 0 {
					facts = append(facts, inBytes(int64(d.MemoryBytes)))
				}
				if d.Driver != "" {
					facts = append(facts, "driver for CUDA "+d.Driver)
				}
				fmt.Fprintf(a.stdout, "✓ %-7s %s\n", d.Name, strings.Join(facts, ", "))
			}
			if missing != nil {
				reason := strings.TrimPrefix(strings.TrimPrefix(missing.Error(), "bnfuse: "), "cuda: ")
				fmt.Fprintf(a.stdout, "✗ %-7s %s\n", "cuda", reason)
			}
			return nil
		},
	}
}
