package zoo

import (
	"os"
	"path"
	"path/filepath"
	"sync"
)

// concurrentSyncs is how many files are synced at once: file systems commit what comes together in one go.
const concurrentSyncs = 16

// syncFiles makes the files of the entries durable, and their names.
func syncFiles(out string, group []*entry) error {
	folders := map[string]bool{}
	var files, dirs []string
	for _, e := range group {
		for _, w := range e.Wrote {
			files = append(files, w.Name)
			for dir := path.Dir(w.Name); !folders[dir]; dir = path.Dir(dir) {
				folders[dir] = true
				dirs = append(dirs, dir)
			}
		}
	}
	if err := syncAll(out, files); err != nil {
		return err
	}
	return syncAll(out, dirs)
}

func syncAll(out string, names []string) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	work := make(chan string)
	for range min(concurrentSyncs, len(names)) {
		wg.Go(func() {
			for name := range work {
				if err := syncFile(filepath.Join(out, filepath.FromSlash(name))); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	for _, name := range names {
		work <- name
	}
	close(work)
	wg.Wait()
	return first
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if isMissing(err) {
		return nil // somebody removed it: its entry holds no more
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
