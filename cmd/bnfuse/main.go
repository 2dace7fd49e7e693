// Command bnfuse folds batch normalizations into the layers beside them, model file to model file.
// It only reads flags and prints; package bnfuse does the work.
//
// Exit codes: 0 done, 1 a model failed, 2 wrong usage, 128 and the signal's number when stopped by one.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lmittmann/tint" // short coloured lines; the standard text handler writes key=value pairs
	"github.com/spf13/cobra"    // verbs, suggestions and shell completion, which package flag has not
	"github.com/spf13/pflag"

	"github.com/bnfuse/bnfuse"
	"github.com/bnfuse/bnfuse/internal/atomicfile"
)

func main() {
	collectBySize()
	ctx, stop := untilSignal(context.Background())
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// stopped is the cause with which a signal ends the context.
type stopped struct{ syscall.Signal }

func (s stopped) Error() string { return "stopped by a signal: " + s.Signal.String() }

// untilSignal ends the context on the first SIGINT or SIGTERM, or SIGHUP unless nohup had it ignored. For a moment,
// while temporary files are removed, further ones mean the same (some senders signal a group and each of its
// members); after that one ends the program at once.
func untilSignal(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		select {
		case s := <-signals:
			cancel(stopped{s.(syscall.Signal)})
			time.Sleep(time.Second)
			signal.Stop(signals)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// app is what the verbs share.
type app struct {
	stdout         io.Writer
	status         *status // on standard error
	log            *slog.Logger
	quiet, verbose bool
	started        bool // the flags were understood and a verb is at work
}

// usageError is a mistake on the command line that only the verb itself can see.
type usageError struct{ error }

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	a := &app{stdout: stdout, status: newStatus(stderr)}
	root := a.rootCommand()
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		unquoteUsage(root)
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	refuseUnknown(root) // now, because completion takes the output as it is
	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var signal stopped
	if errors.As(context.Cause(ctx), &signal) {
		fmt.Fprintln(stderr, "bnfuse:", signal)
		return 128 + int(signal.Signal)
	}
	for i, line := range strings.Split(explain(err), "\n") {
		if i == 0 {
			line = "bnfuse: " + line
		}
		fmt.Fprintln(stderr, printable(line)) // a file's name may hold what a terminal obeys
	}
	if usage := (usageError{}); a.started && !errors.As(err, &usage) && !errors.Is(err, bnfuse.ErrUnknownDevice) {
		return 1
	}
	fmt.Fprintf(stderr, "'%s --help' shows how it is used.\n", called.CommandPath())
	return 2
}

// explain is an error in the command line's words.
func explain(err error) string {
	text := strings.TrimPrefix(err.Error(), "bnfuse: ")
	if errors.Is(err, atomicfile.ErrExists) {
		text += "; --force replaces it"
	}
	return text
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "bnfuse",
		Short: "Fold batch normalizations into the layers beside them, file to file",
		Long: `bnfuse folds the batch normalizations of a trained model into the convolutions and linear layers beside
them: the same function, fewer operators, nothing else changed. What cannot be proven exact is kept, and
the reason is reported. The output has the same bytes on any machine, with a GPU or without.`,
		Example: `  bnfuse fuse resnet50.onnx                    writes resnet50.fused.onnx
  bnfuse inspect resnet50.onnx                 shows where every norm would go, or why it stays
  bnfuse fuse --help`,
		Args:              noVerb,
		RunE:              func(*cobra.Command, []string) error { return errors.New("a verb is missing, such as fuse or inspect") },
		PersistentPreRunE: a.start,

		SuggestionsMinimumDistance: 2,
		Version:                    bnfuse.Version(),
		SilenceErrors:              true,
		SilenceUsage:               true,
	}
	root.SetFlagErrorFunc(explainFlag)
	root.AddCommand(a.fuseCommand(), a.zooCommand(), a.inspectCommand(), a.verifyCommand(), a.reportCommand(), a.devicesCommand(), a.versionCommand())
	return root
}

// start sets up logging once the flags are known.
func (a *app) start(cmd *cobra.Command, _ []string) error {
	if a.quiet && a.verbose {
		return errors.New("--quiet and --verbose exclude each other")
	}
	var empty error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" { // a variable of the shell that is not set
			empty = cmp.Or(empty, fmt.Errorf("--%s is empty", f.Name))
		}
	})
	if empty != nil {
		return empty
	}
	level := slog.LevelWarn
	switch {
	case a.quiet:
		level = slog.LevelError
	case a.verbose:
		level = slog.LevelInfo
	}
	a.log = slog.New(tint.NewTextHandler(a.status, &tint.Options{
		Level:       level,
		NoColor:     !a.status.terminal || os.Getenv("NO_COLOR") != "",
		ReplaceAttr: plainAttr,
	}))
	a.started = cmd.HasParent()
	return nil
}

// plainAttr drops the time, and what a file's name could do to the terminal.
func plainAttr(groups []string, attr slog.Attr) slog.Attr {
	switch {
	case attr.Key == slog.TimeKey && len(groups) == 0:
		return slog.Attr{}
	case attr.Value.Kind() == slog.KindString:
		attr.Value = slog.StringValue(printable(attr.Value.String()))
	}
	return attr
}

// addDevice gives a verb the flag that names an engine.
func addDevice(cmd *cobra.Command, device *string) {
	cmd.Flags().StringVar(device, "device", "auto", "what multiplies: auto, cpu, cuda, cuda:N or cuda:all; the bytes are the same")
	completeFrom(cmd, "device", "auto", "cpu", "cuda", "cuda:all")
}
