package zoo

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
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
// It is a file of JSON lines, the first of which names the format. An entry is written as soon as its files
// have their names, so that a killed run loses only what it had in hand. That does not put them on disk: now
// and then the files of a group of entries are synced, and then a line says so and is synced itself. Entries
// below the last such line count as long as the machine that wrote them has not been started anew. A run that
// completes sorts its journal: the same zoo gives the same bytes.
type journal struct {
	out, path string
	file      *os.File // locked
	head      journalHead
	old       map[string]*entry // of earlier runs, of all shards, by path
	own       map[string]*entry // of this journal, by path

	mu      sync.Mutex
	room    int64    // bytes reserved for what is to be written
	pending []*entry // written and not synced
	nBytes  int64    // of the pending entries' files
	err     error    // the first that ended the writing
	wake    chan struct{}
	done    chan struct{}
}

const journalPrefix = ".bnfuse-journal"

// When a group is committed: syncing costs about as much for many files as for one.
const (
	groupBytes = 1 << 30
	groupWait  = 2 * time.Second
)

// openJournal prepares the folder out for the zoo at dir and locks this shard's journal. With fresh set, it begins
// anew, and those of earlier runs need not be readable. force takes a folder with other files in it, or another zoo's.
func openJournal(dir, out string, shard Shard, fresh, force bool) (*journal, error) {
	dir, err := realPath(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return nil, err
	}
	others, _, err := journals(out)
	if err != nil {
		return nil, err
	}
	name := journalPrefix
	if shard != (Shard{}) {
		name = fmt.Sprintf("%s-%d-of-%d", journalPrefix, shard.Index, shard.Count)
	}
	j := &journal{out: out, path: filepath.Join(out, name), old: map[string]*entry{}, own: map[string]*entry{}}
	j.wake, j.done = make(chan struct{}, 1), make(chan struct{})
	if err := j.open(); err != nil {
		return nil, err
	}
	if err := j.begin(dir, others, fresh, force); err != nil {
		j.file.Close()
		return nil, err
	}
	go j.commitGroups()
	return j, nil
}

// journals are those of all shards in the folder out, and whether there is anything else in it: told by one look, as
// other shards may begin at this moment.
func journals(out string) (list []string, more bool, err error) {
	entries, err := os.ReadDir(out)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), journalPrefix) {
			list = append(list, filepath.Join(out, e.Name()))
		} else {
			more = true
		}
	}
	if isMissing(err) {
		err = nil
	}
	return list, more, err
}

// open opens and locks the journal. A run that has just completed may have put another in its place meanwhile.
func (j *journal) open() error {
	for {
		f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
		if err != nil {
			return err
		}
		if !tryLock(f) {
			f.Close()
			return fmt.Errorf("%s: %w", j.path, ErrAtWork)
		}
		info, err := os.Lstat(j.path)
		switch {
		case err == nil && !info.Mode().IsRegular():
			f.Close()
			return fmt.Errorf("%s: not a regular file", j.path)
		case err == nil && isFile(f, info):
			j.file = f
			return nil
		}
		f.Close()
		if err != nil && !isMissing(err) {
			return err
		}
	}
}

func isFile(f *os.File, info os.FileInfo) bool {
	own, err := f.Stat()
	return err == nil && os.SameFile(own, info)
}

// begin reads the journal and the others, and cuts off a line that a crash left half-written.
func (j *journal) begin(zoo string, others []string, fresh, force bool) error {
	if _, err := atomicfile.RemoveLeftovers(j.out); err != nil { // of a run that was killed while it sorted its journal
		return err
	}
	j.head = headOf(zoo)
	own := &recorded{}
	for _, path := range append(others, j.path) {
		rec, err := readJournalFile(path)
		switch {
		case err != nil && fresh:
			continue
		case err != nil:
			return err
		case rec.zoo != "" && rec.zoo != zoo && !force:
			return fmt.Errorf("%s: %w: %s", j.out, ErrOtherZoo, rec.zoo)
		case rec.zoo != zoo:
			continue
		case path == j.path && !fresh:
			own = rec
		}
		maps.Copy(j.old, rec.entries)
	}
	maps.Copy(j.own, own.entries)
	j.pending = own.unsynced
	if err := j.file.Truncate(own.whole); err != nil {
		return err
	}
	if own.whole == 0 {
		if err := j.writeLine(j.head); err != nil {
			return err
		}
	}
	return j.writeLine(mark{Boot: cmp.Or(bootID(), "unknown, "+time.Now().Format(time.RFC3339Nano))})
}

func readJournalFile(path string) (*recorded, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readJournal(f, path)
}

// add notes that an item is done. Its files are on disk some time later, at the latest after close.
func (j *journal) add(e *entry) {
	text, err := encodeLine(e)
	e.text = text
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = cmp.Or(err, j.write(text))
	}
	j.own[e.Path] = e
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

// commitGroups syncs the pending entries now and then.
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
	group, err := j.pending, j.err
	j.pending, j.nBytes = nil, 0
	j.mu.Unlock()
	if err != nil || len(group) == 0 {
		return err
	}
	err = syncFiles(j.out, group)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		err = j.writeLine(mark{Synced: len(group)})
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.err = err
	}
	return err
}

func (j *journal) writeLine(line any) error {
	text, err := encodeLine(line)
	return cmp.Or(err, j.write(text))
}

func (j *journal) write(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if j.room -= int64(len(text)); j.room < leastRoom && reserve(j.file, moreRoom) == nil {
		j.room = moreRoom - int64(len(text))
	}
	_, err := j.file.Write(text)
	return err
}

// The journal has room reserved, so that on a disk that fills up it still takes what was done. An entry is
// some hundred bytes a norm.
const (
	leastRoom = 32 << 10
	moreRoom  = 128 << 10
)

// close commits what is pending. After a run that completed it sorts the journal.
func (j *journal) close(complete bool) error {
	close(j.wake)
	<-j.done
	err := j.commit()
	if err == nil && complete {
		err = j.sort()
	}
	if err != nil {
		err = fmt.Errorf("journal %s: %w", j.path, err)
	}
	return errors.Join(err, j.file.Close())
}

// sort writes the journal anew, an entry for each path, unless it is so already.
func (j *journal) sort() error {
	text, err := encodeLine(j.head)
	for _, path := range slices.Sorted(maps.Keys(j.own)) {
		text = append(text, j.own[path].text...)
	}
	if n := len(j.own); n > 0 && err == nil {
		var end []byte
		end, err = encodeLine(mark{Synced: n})
		text = append(text, end...)
	}
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(j.path); err == nil && bytes.HasPrefix(old, text) {
		return j.file.Truncate(int64(len(text))) // nothing was done
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

// bootID names the start of the machine, "" where that is unknown.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
