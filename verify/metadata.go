package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// recordKey is the entry of a header's metadata under which bnfuse lists what it folded. It is compared with
// what was found, and believed in nothing.
const recordKey = "bnfuse.folded"

// metadata compares what the files say beside their tensors.
func (k *checkpoint) metadata() {
	for _, p := range k.is.Parts {
		was := map[string]string{}
		for _, t := range p.Tensors {
			if a := k.was.Tensors[t.Name]; a != nil { // a shard may have another name, but has tensors of one shard
				was = a.Part.Metadata
				break
			}
		}
		k.sameMetadata(p, was)
	}
	if k.was.Kind == state.Index && k.is.Kind == state.Index {
		k.sameIndex()
	}
}

func (k *checkpoint) sameMetadata(p *state.Part, was map[string]string) {
	for _, key := range allKeys(p.Metadata, was) {
		is, has := p.Metadata[key]
		old, had := was[key]
		switch {
		case key == recordKey:
			k.checkRecord(is, old)
		case is == old && has == had:
		case k.was.Pickled && key == "format" && is == "pt": // what other writers say of such a file
		case !had:
			k.differ("metadata", "the entry %.100q is new", key)
		case !has:
			k.differ("metadata", "the entry %.100q is gone", key)
		default:
			k.differ("metadata", "the entry %.100q is %.100q, in the original %.100q", key, is, old)
		}
	}
}

// checkRecord wants the list of folds to name no norm that is still there.
func (k *checkpoint) checkRecord(is, was string) {
	type record struct{ Norm string }
	var list, before []record
	json.Unmarshal([]byte(was), &before) // not ours to judge
	if is != was && json.Unmarshal([]byte(is), &list) != nil {
		k.differ("metadata", "the entry %q is no list of folds", recordKey)
	}
	for _, r := range list {
		if f, ok := k.fates[r.Norm]; (!ok || f == stays) && !slices.Contains(before, r) {
			k.differ("metadata", "the entry %q names %.100q, which was not folded", recordKey, r.Norm)
		}
	}
}

// sameIndex compares two indexes but for the places of tensors, which must be right for the file to be read.
func (k *checkpoint) sameIndex() {
	for _, key := range allKeys(k.is.Members, k.was.Members) {
		is, was := k.is.Members[key], k.was.Members[key]
		if unchanged := is == was && len(k.result.Layers) == 0; key == "metadata.total_size" && !unchanged {
			was = fmt.Sprint(k.is.NBytes())
		}
		if is != was {
			k.differ("the index", "%s is %.100s, and %.100s is wanted", key, orNothing(is), orNothing(was))
		}
	}
}

func orNothing(s string) string {
	if s == "" {
		return "absent"
	}
	return s
}

func allKeys(x, y map[string]string) []string {
	all := maps.Clone(y)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, x)
	return slices.Sorted(maps.Keys(all))
}
