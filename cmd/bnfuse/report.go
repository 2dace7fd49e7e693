package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/report"
)

// addReport gives a verb the flag that names a report.
func addReport(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "report", "", "write what became of every norm to this `FILE`, .json for machines or .html for a browser")
	cmd.MarkFlagFilename("report", "json", "html")
}

// reportFile is the file of --report. It is made before the work, because a name it cannot have should cost
// none. A nil one takes reports and writes nothing.
type reportFile struct {
	flag, path string
	file       *atomicfile.File
}

// createReport begins the file of a flag; without a path there is none.
func createReport(flag, path string, replace bool) (*reportFile, error) {
	if path == "" {
		return nil, nil
	}
	if err := checkReport(flag, path, replace); err != nil {
		return nil, err
	}
	f, err := atomicfile.Create(path, 0o666, replace)
	if err != nil {
		return nil, fmt.Errorf("%s %w", flag, err)
	}
	return &reportFile{flag, path, f}, nil
}

// checkReport says what is wrong with a report's name, without making the file.
func checkReport(flag, path string, replace bool) error {
	if ext := filepath.Ext(path); ext != ".json" && ext != ".html" {
		return usageError{fmt.Errorf("%s %s: a report is JSON or a page, its name must end in .json or .html", flag, path)}
	}
	if err := atomicfile.Check(path, replace); err != nil {
		return fmt.Errorf("%s %w", flag, err)
	}
	return nil
}

// writeModel writes the report on one model.
func (r *reportFile) writeModel(m *report.Model, sync bool) error {
	if r != nil && filepath.Ext(r.path) == ".html" {
		return r.writeZoo(report.ZooOf(m, bnfuse.Version()), sync) // the page names the version
	}
	return r.write(m, sync)
}

// writeZoo writes the report on many models.
func (r *reportFile) writeZoo(z *report.Zoo, sync bool) error { return r.write(z, sync) }

func (r *reportFile) write(rep interface {
	WriteJSON(io.Writer) error
	WriteHTML(io.Writer) error
}, sync bool) error {
	if r == nil {
		return nil
	}
	write := rep.WriteJSON
	if filepath.Ext(r.path) == ".html" {
		write = rep.WriteHTML
	}
	err := write(r.file)
	if err == nil {
		err = r.file.Commit(sync)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.flag, r.path, err)
	}
	return nil
}

// close removes the file unless it was written.
func (r *reportFile) close() {
	if r != nil {
		r.file.Close()
	}
}

func (a *app) reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Join reports, or turn one into a page",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no verb %q of reports, only merge", args[0])}
			}
			return usageError{errors.New("a verb is missing: bnfuse report merge")}
		},
	}
	cmd.AddCommand(a.mergeCommand())
	return cmd
}

func (a *app) mergeCommand() *cobra.Command {
	var output string
	var force bool
	cmd := &cobra.Command{
		Use:   "merge REPORT.json... -o FILE",
		Short: "Join the reports of a zoo's shards, or of single models",
		Long: `Join reports written as JSON, by the shards of a zoo or by runs on single models, and write the whole as
JSON or as a page for a browser: FILE's extension decides. A single report is turned into a page the same
way.

A model in several reports counts once: done beats failed, and two that are done must agree. The seconds
are those of the longest shard.`,
		Example: `  bnfuse report merge shard-*.json -o zoo.html
  bnfuse report merge resnet50.json vgg11.json -o both.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("the reports to join are missing")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return a.merge(args, output, force)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "where the joined report goes, .json or .html")
	cmd.Flags().BoolVar(&force, "force", false, "replace an existing FILE")
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "print errors only")
	cmd.MarkFlagFilename("output", "json", "html")
	return cmd
}

func (a *app) merge(paths []string, output string, force bool) error {
	if output == "" {
		return usageError{errors.New("-o FILE is missing: where should the joined report go?")}
	}
	file, err := createReport("-o", output, force)
	if err != nil {
		return err
	}
	defer file.close()
	var zoos []*report.Zoo
	for _, path := range paths {
		z, err := report.ReadFile(path)
		if err != nil {
			return err
		}
		zoos = append(zoos, z)
	}
	all, err := report.Merge(zoos)
	if err != nil {
		return err
	}
	if all.Shard != "" {
		a.log.Warn("these are not all shards of the zoo", "only", all.Shard)
	}
	if err := file.writeZoo(all, false); err != nil || a.quiet {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s\n", output, all.Summary())
	return err
}
