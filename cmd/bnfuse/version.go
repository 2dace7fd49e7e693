package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.stdout, "bnfuse %s (%s, %s/%s)\n", bnfuse.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
