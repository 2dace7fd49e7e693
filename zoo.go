package bnfuse

import (
	"context"

	"github.com/bnfuse/bnfuse/report"
	"github.com/bnfuse/bnfuse/zoo"
)

// ZooOptions are how a folder of models is fused. Of Options, Progress is not called.
type ZooOptions struct {
	Options

	Graphs           []zoo.GraphRule // graphs of the checkpoints that a pattern matches
	Include, Exclude []string        // patterns, see [zoo.Glob]; without Include, all is included
	Shard            zoo.Shard       // the part that is this run's; the zero value is all
	Jobs             int             // models that are read and decided at once; one a core if it is not positive
	NoResume         bool            // do again what an earlier run did
	DryRun           bool            // write nothing, only report

	Event func(zoo.Event) // hears how far the run is; may be nil
}

// FuseZoo fuses every model below the folder dir and writes a folder that can stand in for it: the same
// structure, fused models, everything else copied. Models that failed are named in the report and do not
// stop the others. A second run does only what is missing. An error is what ended the run early; the report,
// where there is one, tells how far it came.
func FuseZoo(ctx context.Context, dir, out string, o ZooOptions) (*report.Zoo, error) {
	e := o.Engine
	if e == nil {
		var err error
		if e, err = Open(o.Device); err != nil {
			return nil, err
		}
		defer e.Close()
	}
	return zoo.Run(ctx, dir, out, zoo.Options{
		Engines:    o.engines(e),
		Checkpoint: o.pairs(),
		Graphs:     o.Graphs,
		Include:    o.Include,
		Exclude:    o.Exclude,
		Shard:      o.Shard,
		Jobs:       o.Jobs,
		DryRun:     o.DryRun,
		NoResume:   o.NoResume,
		Force:      o.Force,
		Version:    Version(),
		Log:        o.log(),
		Event:      o.Event,
	})
}
