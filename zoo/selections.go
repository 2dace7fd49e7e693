package zoo

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/report"
)

// warnUnpaired tells of checkpoints that stay as they are because nothing says which norm follows which layer.
func (r *run) warnUnpaired() {
	models, norms := 0, 0
	for _, m := range r.tally.models {
		unpaired := 0
		for _, n := range m.Norms {
			if n.Status == report.Kept && strings.HasPrefix(n.Reason, string(checkpoint.ReasonNoPairs)) {
				unpaired++
			}
		}
		if unpaired > 0 && m.Folded == 0 {
			models, norms = models+1, norms+unpaired
		}
	}
	if models > 0 {
		r.warn(fmt.Sprintf("nothing says which layers norms of checkpoints follow, and they stay (norms: %d, models: %d): see --graphs, --graph and --pairs", norms, models))
	}
}

// checkGraphs refuses a graph or pairs file that is not there before any work is done.
func (r *run) checkGraphs() error {
	files := r.Checkpoint.files()
	for _, rule := range r.Graphs {
		files = append(files, rule.Graph)
	}
	for _, path := range files {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s: %w", path, bare(err))
		}
	}
	return nil
}

// unmatched names the selections that select nothing.
func (r *run) unmatched(items []item) (warnings []string) {
	if len(items) == 0 && len(r.Include) > 0 {
		warnings = append(warnings, "nothing matches --include "+strings.Join(r.Include, ", "))
	}
	for _, rule := range r.Graphs {
		if !slices.ContainsFunc(items, func(i item) bool { return i.isModel() && i.format != formatONNX && rule.Glob.Match(i.path) }) {
			warnings = append(warnings, "no checkpoint matches the pattern of --graphs for "+rule.Graph)
		}
	}
	return warnings
}
