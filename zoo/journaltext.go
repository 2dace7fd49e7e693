package zoo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// journalHead is the first line.
type journalHead struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Zoo     string `json:"zoo"` // the folder whose models are fused, absolute
}

func headOf(zoo string) journalHead { return journalHead{"bnfuse zoo journal", 1, zoo} }

// mark is a line of one of two kinds between entries.
type mark struct {
	Boot   string `json:"boot,omitempty"`   // the start of the machine that writes what follows
	Synced int    `json:"synced,omitempty"` // so many entries more are on disk, the first that were not yet
}

// recorded is what a journal says.
type recorded struct {
	zoo      string
	entries  map[string]*entry // that count, by path
	unsynced []*entry          // of these, those that were not synced
	whole    int64             // bytes of whole lines
}

// readJournal reads a journal, which may end in the middle of a line. Lines that make no sense are passed
// over: what they spoke of is done again.
func readJournal(r io.Reader, path string) (*recorded, error) {
	lines := bufio.NewReader(r)
	rec := &recorded{entries: map[string]*entry{}}
	boot := ""
	for first := true; ; first = false {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			if boot == "" || boot != bootID() {
				rec.unsynced = nil
			}
			rec.count(len(rec.unsynced))
			return rec, endOfFile(err)
		}
		rec.whole += int64(len(text))
		var l struct {
			entry
			mark
		}
		switch {
		case first:
			var head journalHead
			if json.Unmarshal(text, &head) != nil || head != headOf(head.Zoo) {
				return nil, fmt.Errorf("%s: not a journal that this bnfuse can read; --no-resume begins another", path)
			}
			rec.zoo = head.Zoo
		case json.Unmarshal(text, &l) != nil:
		case l.Synced > 0:
			n := min(l.Synced, len(rec.unsynced))
			rec.count(n)
			rec.unsynced = rec.unsynced[n:]
		case l.Boot != "" && l.Boot != boot:
			boot, rec.unsynced = l.Boot, nil
		case l.Path != "" && l.isLocal():
			l.entry.text = text
			rec.unsynced = append(rec.unsynced, &l.entry)
		}
	}
}

// count takes the first n entries that were not synced for true.
func (r *recorded) count(n int) {
	for _, e := range r.unsynced[:n] {
		r.entries[e.Path] = e
	}
}

func endOfFile(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func encodeLine(value any) ([]byte, error) {
	var b bytes.Buffer
	err := json.NewEncoder(&b).Encode(value)
	return b.Bytes(), err
}
