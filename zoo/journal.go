package zoo

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
)

// journal remembers in OUT what is done, so that the next run does what is missing. There is one for each
// shard; each run reads all and writes its own.
//
// It is a file of JSON lines, the first of which names the format. Entries are added in groups: first the
// files that a group's entries speak of are synced, then the entries are written and synced, so that after a
// crash whatever stands in the journal is on disk. A run that completes sorts its journal: the same zoo gives
// the same bytes.
type journal struct {
	out, path string
	file      *os.File          // locked
	old       map[string]*entry // of earlier runs, of all shards, by path
	own       map[string]*entry // of this journal, by path

	mu      sync.Mutex
	pending []*entry
	nBytes  int64 // of the pending entries' files
	err     error // the first that ended the writing
	wake    chan struct{}
	done    chan struct{}
}

const journalPrefix = ".bnfuse-journal"

// journalHead is the first line.
type journalHead struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

var ourHead = journalHead{"bnfuse zoo journal", 1}

// When a group is committed: syncing costs about as much for many files as for one.
const (
	groupBytes = 1 << 30
	groupWait  = 2 * time.Second
)

// ErrAtWork is returned where another run works on the same shard.
var ErrAtWork = errors.New("another bnfuse zoo is at work here")

// ErrNotOurs is returned for a folder with files in it that no run of ours wrote.
var ErrNotOurs = errors.New("the folder is not empty and holds no zoo that bnfuse wrote; --force writes into it all the same")

// openJournal prepares the folder out and locks this shard's journal. With fresh set, what earlier runs did
// does not count.
func openJournal(out string, shard Shard, fresh, force bool) (*journal, error) {
	if err := os.MkdirAll(out, 0o777); err != nil {
		return nil, err
	}
	others, err := filepath.Glob(filepath.Join(globQuote(out), journalPrefix+"*"))
	if err != nil {
		return nil, err
	}
	if len(others) == 0 && !force {
		if names, err := os.ReadDir(out); err != nil || len(names) > 0 {
			return nil, cmp.Or(err, fmt.Errorf("%s: %w", out, ErrNotOurs))
		}
	}
	name := journalPrefix
	if shard != (Shard{}) {
		name = fmt.Sprintf("%s-%d-of-%d", journalPrefix, shard.Index, shard.Count)
	}
	j := &journal{out: out, path: filepath.Join(out, name), old: map[string]*entry{}, own: map[string]*entry{}}
	j.wake, j.done = make(chan struct{}, 1), make(chan struct{})
	if j.file, err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666); err != nil {
		return nil, err
	}
	if err := j.begin(others, fresh); err != nil {
		j.file.Close()
		return nil, err
	}
	go j.commitGroups()
	return j, nil
}

// globQuote makes a path mean itself to filepath.Glob.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// begin locks the journal, reads it and the others, and cuts off a line that a crash left half-written.
func (j *journal) begin(others []string, fresh bool) error {
	if !tryLock(j.file) {
		return fmt.Errorf("%s: %w", j.path, ErrAtWork)
	}
	if fresh {
		return errors.Join(j.file.Truncate(0), j.writeLines(nil, true))
	}
	for _, path := range others {
		if path == j.path {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = readJournal(f, path, j.old)
		if f.Close(); err != nil {
			return err
		}
	}
	good, err := readJournal(j.file, j.path, j.own)
	if err != nil {
		return err
	}
	maps.Copy(j.old, j.own)
	if err := j.file.Truncate(good); err != nil || good > 0 {
		return err
	}
	return j.writeLines(nil, true)
}

// readJournal adds the entries of a journal and tells how many of its bytes are whole lines. Lines that make
// no sense are passed over: what they spoke of is done again.
func readJournal(r io.Reader, path string, into map[string]*entry) (good int64, err error) {
	lines := bufio.NewReader(r)
	for first := true; ; first = false {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return good, endOfFile(err)
		}
		good += int64(len(line))
		if first {
			var head journalHead
			if json.Unmarshal(line, &head) != nil || head != ourHead {
				return 0, fmt.Errorf("%s: not a journal that this bnfuse can read; --no-resume begins another", path)
			}
			continue
		}
		var e entry
		if json.Unmarshal(line, &e) == nil && e.Path != "" {
			into[e.Path] = &e
		}
	}
}

func endOfFile(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// add notes that an item is done. The entry is on disk some time later, at the latest after close.
func (j *journal) add(e *entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending = append(j.pending, e)
	for _, w := range e.Wrote {
		j.nBytes += w.Size
	}
	if j.nBytes >= groupBytes {
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
}

// commitGroups writes the pending entries now and then.
func (j *journal) commitGroups() {
	defer close(j.done)
	tick := time.NewTicker(groupWait)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case _, open := <-j.wake:
			if !open {
				return
			}
		}
		j.commit()
	}
}

// commit makes the pending entries durable, their files first.
func (j *journal) commit() error {
	j.mu.Lock()
	group := j.pending
	j.pending, j.nBytes = nil, 0
	err := j.err
	j.mu.Unlock()
	if err != nil || len(group) == 0 {
		return err
	}
	err = syncFiles(j.out, group)
	if err == nil {
		err = j.writeLines(group, false)
	}
	if err != nil {
		err = fmt.Errorf("journal %s: %w", j.path, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
	for _, e := range group {
		j.own[e.Path] = e
	}
	return err
}

func (j *journal) writeLines(group []*entry, head bool) error {
	text, err := encodeLines(group, head)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(text); err != nil {
		return err
	}
	return j.file.Sync()
}

func encodeLines(group []*entry, head bool) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	if head {
		if err := enc.Encode(ourHead); err != nil {
			return nil, err
		}
	}
	for _, e := range group {
		if err := enc.Encode(e); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// close commits what is pending. After a run that completed it sorts the journal.
func (j *journal) close(complete bool) error {
	close(j.wake)
	<-j.done
	err := j.commit()
	if err == nil && complete {
		err = j.sort()
	}
	return errors.Join(err, j.file.Close())
}

// sort writes the journal anew, an entry for each path, unless it is so already.
func (j *journal) sort() error {
	var list []*entry
	for _, path := range slices.Sorted(maps.Keys(j.own)) {
		list = append(list, j.own[path])
	}
	text, err := encodeLines(list, true)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(j.path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	f, err := atomicfile.Create(j.path, 0o666, true)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Commit(true)
}
