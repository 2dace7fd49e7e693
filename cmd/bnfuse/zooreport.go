package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bnfuse/bnfuse/report"
)

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
