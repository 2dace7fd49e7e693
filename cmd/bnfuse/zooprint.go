package main

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
	"github.com/bnfuse/bnfuse/report"
	"github.com/bnfuse/bnfuse/zoo"
)

// watch shows the run on standard error, and with --json writes what happens to standard output.
func (a *app) watch(o *bnfuse.ZooOptions, dir string, f zooFlags) *events {
	var list *events
	if f.asJSON {
		list = newEvents(a.stdout, dir, f.output)
	}
	var view *zooView
	told := f.asJSON && (!a.status.terminal || isTerminal(a.stdout)) // the events suffice, or would be drawn over
	if !a.quiet && !told {
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
