package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The verb `completion` itself is cobra's; these are the answers for our arguments and flags.

// completeModel completes the names of models.
func completeModel(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"onnx", "safetensors", "pt", "pth", "ckpt", "bin", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeFrom completes a flag's value from a few words.
func completeFrom(cmd *cobra.Command, flag string, words ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag does not exist
	}
}

// unquoteUsage takes the marks out of the flags' texts that name a value for --help: a shell would show them.
func unquoteUsage(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") })
	}
}
