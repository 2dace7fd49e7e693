package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/bnfuse/bnfuse/internal/regular"
	"github.com/bnfuse/bnfuse/report"
	"github.com/bnfuse/bnfuse/zoo"
)

// checkReport refuses a report before the work that could not be written after it. It may lie in the output,
// whose folder the run makes, and is therefore not begun here.
func (f *zooFlags) checkReport(dir string) error {
	if f.report == "" {
		return nil
	}
	if _, ok := zoo.Below(dir, f.report); ok {
		return usageError{fmt.Errorf("--report %s would lie in the zoo %s itself", f.report, dir)}
	}
	if rel, ok := f.inOutput(); ok {
		if _, err := os.Lstat(filepath.Join(dir, rel)); err == nil {
			return usageError{fmt.Errorf("--report %s would replace a file of the zoo", f.report)}
		}
		return checkReport("--report", f.report, f.mayReplaceReport(dir))
	}
	file, err := createReport("--report", f.report, f.mayReplaceReport(dir))
	file.close() // it could be made
	return err
}

// inOutput is the report's path in the output, if it is to lie there.
func (f *zooFlags) inOutput() (rel string, ok bool) {
	if f.output == "" || f.report == "" {
		return "", false
	}
	return zoo.Below(f.output, f.report)
}

func (f *zooFlags) writeReport(dir string, z *report.Zoo) error {
	if _, ok := f.inOutput(); ok {
		if err := os.MkdirAll(filepath.Dir(f.report), 0o777); err != nil {
			return fmt.Errorf("--report %w", err)
		}
	}
	file, err := createReport("--report", f.report, f.mayReplaceReport(dir))
	if err != nil {
		return err
	}
	defer file.close()
	return file.writeZoo(z, f.fsync)
}

// mayReplaceReport reports whether the report may take the place of a file: of any with --force, else of the
// report of an earlier run on the same zoo.
func (f *zooFlags) mayReplaceReport(dir string) bool { return f.force || isReportOn(dir, f.report) }

// isReportOn reports whether a file is a report of ours on the zoo at dir, so that a run that goes on may write
// it anew.
func isReportOn(dir, path string) bool {
	input := ""
	if strings.HasSuffix(path, ".json") {
		z, err := report.ReadFile(path)
		if err != nil {
			return false
		}
		input = z.Input
	} else {
		input = inputOfPage(path)
	}
	return input != "" && samePath(dir, input)
}

// inputOfPage is what the title of a page says that it reports on, "" for no page of ours.
func inputOfPage(path string) string {
	f, _, err := regular.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 16<<10)
	n, _ := io.ReadFull(f, head)
	if !bytes.HasPrefix(head, []byte("<!doctype html>")) {
		return ""
	}
	_, rest, _ := strings.Cut(string(head[:n]), "<title>")
	input, _, ok := strings.Cut(rest, " · bnfuse report</title>")
	if !ok {
		return ""
	}
	return html.UnescapeString(input)
}
