package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
	"github.com/bnfuse/bnfuse/report"
	"github.com/bnfuse/bnfuse/zoo"
)

// zooFlags are the flags of `bnfuse zoo`.
type zooFlags struct {
	output, report, device, shard          string
	graphs, include, exclude               []string
	jobs                                   int
	dryRun, force, fsync, asJSON, noResume bool
	pairs                                  pairFlags
}

func (a *app) zooCommand() *cobra.Command {
	var f zooFlags
	cmd := &cobra.Command{
		Use:        "zoo DIR -o OUT",
		SuggestFor: []string{"dir", "batch", "all"},
		Short:      "Fold the norms of every model in a folder",
		Long: `Fold the norms of every model in a folder, as fuse does for one, and write the folder anew: models keep
their names (a state dict of PyTorch gets .safetensors behind its own), other files go along. Models are
known by their content. In a cache of Hugging Face, links are resolved and each blob is done once.

A checkpoint takes its pairs from the first of these: a --graphs pattern that matches it, the ONNX model
beside it that has its stem (x.pt and x.onnx), --graph or --pairs.

A model that fails does not stop the others; it is named at the end, and the exit code is 1. A run that was
stopped is taken up again where it was by the same command.`,
		Example: `  bnfuse zoo models -o fused
  bnfuse zoo models -o fused --report fused.html --exclude '*.ckpt'
  bnfuse zoo models -o fused --graphs 'resnet50/**=resnet50.onnx'
  bnfuse zoo models -o fused --shard auto/16       in a job array of 16
  bnfuse zoo models --dry-run                      what would become of every model`,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return errors.New("the folder DIR is missing")
			case 1:
				return nil
			}
			return fmt.Errorf("one folder is wanted and %d are given", len(args))
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.zoo(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.output, "output", "o", "", "the folder `OUT` to write, outside of DIR")
	flags.StringArrayVar(&f.include, "include", nil, "only what this `GLOB` matches, models and other files; may be repeated")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "not what this `GLOB` matches; may be repeated")
	flags.BoolVar(&f.force, "force", false, "write into a folder that is not empty and not that of an earlier run")
	flags.BoolVar(&f.noResume, "no-resume", false, "do everything again, also what an earlier run did")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "write nothing, only report")
	addReport(cmd, &f.report)
	flags.BoolVar(&f.asJSON, "json", false, "print a JSON object a line as things happen, instead of the summary")
	flags.StringArrayVar(&f.graphs, "graphs", nil, "take the pairs of the checkpoints that a glob matches from a graph: `GLOB=MODEL.onnx`; may be repeated")
	addPairs(cmd, &f.pairs)
	flags.BoolVar(&f.pairs.keepNorms, "keep-norms", false, "leave norms that do nothing in checkpoints, so that the models' unchanged classes load them")
	addDevice(cmd, &f.device)
	flags.IntVar(&f.jobs, "jobs", 0, "how many models are read and decided at once (default one a core)")
	flags.StringVar(&f.shard, "shard", "", "do the `i/n`th part only; auto/n takes i from a job array of Slurm or Kubernetes")
	flags.BoolVar(&f.fsync, "fsync", false, "make the report durable too; the models are, before the journal names them")
	a.addVolume(cmd)
	flags.Lookup("verbose").Usage = "list every model"
	cmd.MarkFlagDirname("output")
	return cmd
}

// options are the flags in the library's terms, or what is wrong with them.
func (f *zooFlags) options(a *app) (bnfuse.ZooOptions, error) {
	o := bnfuse.ZooOptions{
		Options:  bnfuse.Options{Device: f.device, Force: f.force, Sync: f.fsync, Log: a.log},
		Jobs:     f.jobs,
		Include:  f.include,
		Exclude:  f.exclude,
		NoResume: f.noResume,
		DryRun:   f.dryRun,
	}
	if err := f.pairs.apply(&o.Options); err != nil {
		return o, err
	}
	if f.output == "" && !f.dryRun {
		return o, usageError{errors.New("-o OUT is missing: where should the fused models go?")}
	}
	if f.jobs < 0 {
		return o, usageError{errors.New("--jobs must not be negative")}
	}
	for _, rule := range f.graphs {
		glob, graph, ok := strings.Cut(rule, "=")
		if !ok || graph == "" {
			return o, usageError{fmt.Errorf("--graphs %q: want GLOB=MODEL.onnx", rule)}
		}
		g, err := zoo.ParseGlob(glob)
		if err != nil {
			return o, usageError{err}
		}
		o.Graphs = append(o.Graphs, zoo.GraphRule{Glob: g, Graph: graph})
	}
	for _, glob := range slices.Concat(f.include, f.exclude) {
		if _, err := zoo.ParseGlob(glob); err != nil {
			return o, usageError{err}
		}
	}
	if f.shard != "" {
		var err error
		if o.Shard, err = zoo.ParseShard(f.shard, os.Getenv); err != nil {
			return o, usageError{err}
		}
	}
	return o, nil
}

func (a *app) zoo(cmd *cobra.Command, dir string, f zooFlags) error {
	o, err := f.options(a)
	if err != nil {
		return err
	}
	if f.dryRun {
		f.output = ""
	}
	if err := f.checkReport(dir); err != nil {
		return err
	}
	events := a.watch(&o, dir, f)
	z, ended := bnfuse.FuseZoo(cmd.Context(), dir, f.output, o)
	a.status.end()
	if errors.Is(ended, zoo.ErrInside) {
		return usageError{ended}
	}
	if z == nil {
		return explainPairs(ended)
	}
	err = f.writeReport(z) // also of a run that ended early
	if err == nil && f.asJSON {
		err = events.end(z, ended)
	} else if err == nil {
		err = a.printZoo(z, dir)
	}
	return cmp.Or(ended, err, a.failures(z))
}

// watch shows the run on standard error, and with --json writes what happens to standard output.
func (a *app) watch(o *bnfuse.ZooOptions, dir string, f zooFlags) *events {
	var list *events
	if f.asJSON {
		list = newEvents(a.stdout, dir, f.output)
	}
	var view *zooView
	if !a.quiet && !(f.asJSON && !a.status.terminal) {
		view = newZooView(time.Now())
		a.status.show(view)
	}
	o.Event = func(e zoo.Event) {
		if list != nil {
			list.write(e)
		}
		if view != nil {
			view.event(e)
		}
	}
	return list
}

// inspectZoo shows what zoo would do to a folder.
func (a *app) inspectZoo(cmd *cobra.Command, dir string, o bnfuse.Options, asJSON bool) error {
	zo := bnfuse.ZooOptions{Options: o, DryRun: true}
	a.watch(&zo, dir, zooFlags{dryRun: true})
	z, ended := bnfuse.FuseZoo(cmd.Context(), dir, "", zo)
	a.status.end()
	if z == nil {
		return explainPairs(ended)
	}
	var err error
	if asJSON {
		err = z.WriteJSON(a.stdout)
	} else {
		err = a.printZoo(z, dir)
	}
	return cmp.Or(ended, err, a.failures(z))
}

// printZoo prints what became of a zoo.
func (a *app) printZoo(z *report.Zoo, dir string) error {
	if a.quiet {
		return nil
	}
	var b bytes.Buffer
	if z.Output == "" || a.verbose {
		columns, _ := size(a.stdout)
		z.WriteTable(&b, columns)
	}
	to := ""
	if z.Output != "" {
		to = " → " + z.Output
	}
	fmt.Fprintf(&b, "%s%s: %s\n", dir, to, z.Summary())
	if z.Totals.Resumed > 0 {
		fmt.Fprintf(&b, "  %d were done by an earlier run\n", z.Totals.Resumed)
	}
	_, err := a.stdout.Write(b.Bytes())
	t := z.Totals
	a.log.Info("done", "engine", z.Engine, "files", t.Files, "read", inBytes(t.BytesIn), "written", inBytes(t.BytesOut),
		"took", time.Duration(t.Seconds*float64(time.Second)).Round(time.Millisecond))
	return err
}

// failures names the models that failed, and is the error of a run that has any.
func (a *app) failures(z *report.Zoo) error {
	for _, m := range z.Models {
		if m.Error != "" {
			a.log.Error(withPath(m.Error, m.Input))
		}
	}
	if n := z.Totals.Failed; n > 0 {
		return fmt.Errorf("%d of %d models failed", n, z.Totals.Models)
	}
	return nil
}

// withPath puts a model's path before an error that does not name it.
func withPath(text, path string) string {
	if strings.Contains(text, path) {
		return text
	}
	return path + ": " + text
}

// checkReport refuses a report before the work that could not be written after it. It may lie in the output,
// whose folder the run makes, and is therefore not begun here.
func (f *zooFlags) checkReport(dir string) error {
	if f.report == "" {
		return nil
	}
	if _, ok := below(dir, f.report); ok {
		return usageError{fmt.Errorf("--report %s would lie in the zoo %s itself", f.report, dir)}
	}
	rel, inOutput := below(f.output, f.report)
	if inOutput && f.output != "" {
		if _, err := os.Lstat(filepath.Join(dir, rel)); err == nil {
			return usageError{fmt.Errorf("--report %s would replace a file of the zoo", f.report)}
		}
		return checkReport("--report", f.report, f.mayReplaceReport())
	}
	file, err := createReport("--report", f.report, f.mayReplaceReport())
	file.close() // it could be made
	return err
}

func (f *zooFlags) writeReport(z *report.Zoo) error {
	file, err := createReport("--report", f.report, f.mayReplaceReport())
	if err != nil {
		return err
	}
	defer file.close()
	return file.writeZoo(z, f.fsync)
}

// mayReplaceReport reports whether the report may take the place of a file: of any with --force, else of the
// report of an earlier run.
func (f *zooFlags) mayReplaceReport() bool { return f.force || isReport(f.report) }

// below gives a path relative to the folder that it lies in. Neither needs to exist.
func below(dir, path string) (string, bool) {
	dir, errDir := filepath.Abs(dir)
	path, errPath := filepath.Abs(path)
	rel, err := filepath.Rel(dir, path)
	return rel, errDir == nil && errPath == nil && err == nil && filepath.IsLocal(rel)
}

// isReport reports whether a file is a report of ours, so that a run that goes on may write it anew.
func isReport(path string) bool {
	if strings.HasSuffix(path, ".json") {
		_, err := report.ReadFile(path)
		return err == nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4<<10)
	n, _ := f.Read(head)
	return bytes.HasPrefix(head, []byte("<!doctype html>")) && bytes.Contains(head[:n], []byte("bnfuse report</title>"))
}
