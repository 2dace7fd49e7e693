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

// watcher hears what happens in a zoo.
type watcher struct {
	list   *events  // nil without --json
	view   *zooView // nil where nothing is shown
	models int      // of the run, done or not
}

// watch shows the run on standard error, and with --json writes what happens to standard output.
func (a *app) watch(o *bnfuse.ZooOptions, dir string, f zooFlags) *watcher {
	w := &watcher{}
	if f.asJSON {
		w.list = newEvents(a.stdout, dir, f.output)
	}
	told := f.asJSON && (!a.status.terminal || isTerminal(a.stdout)) // the events suffice, or would be drawn over
	if !a.quiet && !told {
		w.view = newZooView(time.Now())
		a.status.show(w.view)
	}
	o.Event = w.event
	return w
}

func (w *watcher) event(e zoo.Event) {
	w.models = e.Models
	if w.list != nil {
		w.list.write(e)
	}
	if w.view != nil {
		w.view.event(e)
	}
}

// inspectZoo shows what zoo would do to a folder.
func (a *app) inspectZoo(cmd *cobra.Command, dir string, o bnfuse.Options, asJSON bool) error {
	zo := bnfuse.ZooOptions{Options: o, DryRun: true}
	w := a.watch(&zo, dir, zooFlags{dryRun: true})
	z, ended := bnfuse.FuseZoo(cmd.Context(), dir, "", zo)
	a.status.end()
	if z == nil {
		return explainPairs(ended)
	}
	var err error
	if asJSON {
		err = z.WriteJSON(a.stdout)
	} else {
		err = a.printZoo(z, dir, w.models)
	}
	return cmp.Or(ended, err, a.failures(z, a.showsFailures(z, asJSON)))
}

// listsModels reports whether printZoo has a line for each model.
func (a *app) listsModels(z *report.Zoo) bool { return !a.quiet && (z.Output == "" || a.verbose) }

// showsFailures reports whether somebody sees in that table already which models failed.
func (a *app) showsFailures(z *report.Zoo, asJSON bool) bool {
	return a.listsModels(z) && !asJSON && isTerminal(a.stdout)
}

// printZoo prints what became of a zoo of so many models.
func (a *app) printZoo(z *report.Zoo, dir string, models int) error {
	if a.quiet {
		return nil
	}
	var b bytes.Buffer
	if a.listsModels(z) {
		columns, _ := size(a.stdout)
		z.WriteTable(&b, columns)
	}
	to := ""
	if z.Output != "" {
		to = " → " + z.Output
	}
	fmt.Fprintf(&b, "%s%s: %s\n", dir, to, z.Summary())
	if z.Totals.Resumed > 0 {
		fmt.Fprintf(&b, "  done by an earlier run: %d\n", z.Totals.Resumed)
	}
	if z.Output != "" && z.Totals.Models < models {
		fmt.Fprintf(&b, "  stopped after %d of %d models; the same command goes on\n", z.Totals.Models, models)
	}
	_, err := a.stdout.Write(b.Bytes())
	t := z.Totals
	a.log.Info("done", "engine", z.Engine, "files", t.Files, "read", inBytes(t.BytesIn), "written", inBytes(t.BytesOut),
		"took", time.Duration(t.Seconds*float64(time.Second)).Round(time.Millisecond))
	return err
}

// repeatWarnings tells what an earlier run has warned of: the totals count it.
func (a *app) repeatWarnings(z *report.Zoo) {
	for _, m := range z.Models {
		for _, w := range m.Warnings {
			if m.Resumed {
				a.log.Warn(w, "model", m.Input)
			}
		}
	}
}

// failures names the models that failed, unless somebody has seen that already, and is the error of a run that has any.
func (a *app) failures(z *report.Zoo, seen bool) error {
	for _, m := range z.Models {
		if m.Error != "" && !seen {
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
