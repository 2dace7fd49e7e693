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
}

// mark is a line of one of two kinds between entries.
type mark struct {
	Boot   string `json:"boot,omitempty"`   // the start of the machine that writes what follows
	Synced int    `json:"synced,omitempty"` // so many entries more are on disk, the first that were not yet
}

var ourHead = journalHead{"bnfuse zoo journal", 1}

// readJournal adds the entries of a journal that count and tells which of them were not synced yet, and how
// many bytes are whole lines. Lines that make no sense are passed over: what they spoke of is done again.
func readJournal(r io.Reader, path string, into map[string]*entry) (unsynced []*entry, good int64, err error) {
	lines := bufio.NewReader(r)
	boot := ""
	for first := true; ; first = false {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			if boot == "" || boot != bootID() {
				unsynced = nil
			}
			addTo(into, unsynced)
			return unsynced, good, endOfFile(err)
		}
		good += int64(len(text))
		var l struct {
			entry
			mark
		}
		switch {
		case first:
			var head journalHead
			if json.Unmarshal(text, &head) != nil || head != ourHead {
				return nil, 0, fmt.Errorf("%s: not a journal that this bnfuse can read; --no-resume begins another", path)
			}
		case json.Unmarshal(text, &l) != nil:
		case l.Synced > 0:
			n := min(l.Synced, len(unsynced))
			addTo(into, unsynced[:n])
			unsynced = unsynced[n:]
		case l.Boot != "" && l.Boot != boot:
			boot, unsynced = l.Boot, nil
		case l.Path != "" && l.isLocal():
			unsynced = append(unsynced, &l.entry)
		}
	}
}

func addTo(entries map[string]*entry, list []*entry) {
	for _, e := range list {
		entries[e.Path] = e
	}
}

func endOfFile(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func encodeLines(lines ...any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
