package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
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
		_, glob, graph, err := graphRule(rule)
		if err != nil {
			return o, err
		}
		o.Graphs = append(o.Graphs, zoo.GraphRule{Glob: glob, Graph: graph})
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
	out := f.output
	if f.dryRun {
		f.output = "" // it is not made
	}
	if err := f.checkReport(dir); err != nil {
		return err
	}
	w := a.watch(&o, dir, f)
	z, ended := bnfuse.FuseZoo(cmd.Context(), dir, out, o)
	a.status.end()
	if errors.Is(ended, zoo.ErrInside) {
		return usageError{ended}
	}
	if z == nil {
		return explainPairs(ended)
	}
	a.repeatWarnings(z)
	err = f.writeReport(dir, z) // also of a run that ended early
	if err == nil && f.asJSON {
		err = w.list.end(z, ended)
	} else if err == nil {
		err = a.printZoo(z, dir, w.models)
	}
	return cmp.Or(ended, err, a.failures(z, a.showsFailures(z, f.asJSON)))
}
