package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
	"github.com/bnfuse/bnfuse/report"
)

// fuseFlags are the flags of `bnfuse fuse`.
type fuseFlags struct {
	output, report, device       string
	dryRun, force, fsync, asJSON bool
	pairs                        pairFlags
}

func (a *app) fuseCommand() *cobra.Command {
	var f fuseFlags
	cmd := &cobra.Command{
		Use:        "fuse MODEL",
		SuggestFor: []string{"fold"},
		Short:      "Fold the norms of a model and write the result",
		Long: `Fold the batch normalizations of an ONNX model, and per-channel Mul, Add, Sub and Div by constants, into
the layers beside them. Everything else in the file stays byte for byte. External data are written to
OUT.data. A model with nothing to fold is copied, and its external data under their own names.

MODEL may be a checkpoint too: safetensors, or a state dict of PyTorch, which is written as safetensors;
or shards of either, by their .index.json. A checkpoint has no graph; --graph or --pairs tells which norm
follows which layer.`,
		Example: `  bnfuse fuse resnet50.onnx                    writes resnet50.fused.onnx
  bnfuse fuse resnet50.onnx -o small.onnx --report small.html
  bnfuse fuse resnet50.onnx -o resnet50.onnx --force
  bnfuse fuse resnet50.onnx --dry-run -v       what would become of every norm
  bnfuse fuse resnet50.pt --graph resnet50.onnx    writes resnet50.fused.safetensors`,
		Args:              oneModel,
		ValidArgsFunction: completeModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.fuse(cmd, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.output, "output", "o", "", "where the fused model goes (default MODEL with .fused before the extension)")
	flags.BoolVar(&f.force, "force", false, "replace an existing output; it may be MODEL itself")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "write no model, only report")
	addReport(cmd, &f.report)
	flags.BoolVar(&f.asJSON, "json", false, "print the report as JSON instead of the summary")
	addPairs(cmd, &f.pairs)
	flags.BoolVar(&f.pairs.keepNorms, "keep-norms", false, "leave norms that do nothing, so that the model's unchanged class loads the checkpoint")
	addDevice(cmd, &f.device)
	flags.BoolVar(&f.fsync, "fsync", false, "make the output durable before it gets its name")
	a.addVolume(cmd)
	return cmd
}

// addVolume gives a verb the flags that say how much is printed.
func (a *app) addVolume(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.verbose, "verbose", "v", false, "list every norm")
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "print errors only")
}

// check refuses what cannot be meant.
func (f *fuseFlags) check(cmd *cobra.Command, model string) error {
	if f.output == "-" {
		return usageError{errors.New("--output must be a file: it appears whole or not at all, which standard output cannot do")}
	}
	if isFolder(model) {
		return usageError{fmt.Errorf("%s is a folder: bnfuse zoo %s -o OUT fuses every model in it", model, model)}
	}
	if f.report == "" {
		return nil
	}
	out := f.output
	if out == "" {
		out = bnfuse.OutputName(model)
	}
	for _, path := range []string{model, out, out + ".data"} {
		if samePath(path, f.report) {
			return usageError{fmt.Errorf("--report %s would replace a model's file", f.report)}
		}
	}
	for _, path := range []string{f.pairs.graph, f.pairs.pairs} {
		if path != "" && samePath(path, f.report) {
			return usageError{fmt.Errorf("--report %s would replace what the pairs are read from", f.report)}
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// samePath reports whether two paths name one file, also one that does not exist yet.
func samePath(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX == nil && errY == nil {
		return os.SameFile(x, y)
	}
	a, errX = filepath.Abs(a)
	b, errY = filepath.Abs(b)
	return errX == nil && errY == nil && a == b
}

func (a *app) fuse(cmd *cobra.Command, model string, f fuseFlags) error {
	if err := f.check(cmd, model); err != nil {
		return err
	}
	file, err := createReport("--report", f.report, f.force)
	if err != nil {
		return err
	}
	defer file.close()
	o := bnfuse.Options{Device: f.device, Force: f.force, Sync: f.fsync, Log: a.log}
	if err := f.pairs.apply(&o); err != nil {
		return err
	}
	var m *report.Model
	if f.dryRun {
		m, err = bnfuse.Inspect(cmd.Context(), model, o)
	} else {
		if !a.quiet {
			o.Progress = a.status.begin(filepath.Base(model))
		}
		m, err = bnfuse.FuseFile(cmd.Context(), model, f.output, o)
		a.status.end()
	}
	if err != nil {
		return explainPairs(err)
	}
	if err := file.writeModel(m, f.fsync); err != nil {
		return err
	}
	return a.printFused(m, f.asJSON)
}

// printFused prints what became of a model.
func (a *app) printFused(m *report.Model, asJSON bool) error {
	if asJSON {
		return m.WriteJSON(a.stdout)
	}
	if a.quiet {
		return nil
	}
	var b bytes.Buffer
	if m.Output == "" {
		fmt.Fprintf(&b, "%s: %s\n", printable(m.Input), m.Summary())
	} else {
		fmt.Fprintf(&b, "%s → %s: %s\n", printable(m.Input), printable(m.Output), m.Summary())
	}
	if a.verbose {
		m.WriteFolded(&b)
	}
	m.WriteKept(&b, a.verbose)
	_, err := a.stdout.Write(b.Bytes())
	a.log.Info("done", "engine", m.Engine, "read", inBytes(m.BytesIn), "written", inBytes(m.BytesOut),
		"took", time.Duration(m.Seconds*float64(time.Second)).Round(10*time.Microsecond))
	return err
}
