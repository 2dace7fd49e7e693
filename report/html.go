package report

import (
	"errors"
	"io"
)

// WriteHTML writes the report as one page.
func (z *Zoo) WriteHTML(w io.Writer) error { return errors.New("report: not yet") }

// WriteHTML writes the report as one page.
func (m *Model) WriteHTML(w io.Writer) error { return errors.New("report: not yet") }
