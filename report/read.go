package report

import "errors"

// ReadFile reads the report at path, written as JSON, of a zoo or of one model, which becomes a zoo of one.
func ReadFile(path string) (*Zoo, error) { return nil, errors.New("report: not yet") }
