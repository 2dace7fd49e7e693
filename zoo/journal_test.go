package zoo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entries are what a journal is read as.
func entries(t *testing.T, text string) (paths, unsynced []string) {
	t.Helper()
	rec, err := readJournal(strings.NewReader(text), "journal")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if rec.entries[name] != nil {
			paths = append(paths, name)
		}
	}
	for _, e := range rec.unsynced {
		unsynced = append(unsynced, e.Path)
	}
	return paths, unsynced
}

// What is not known to be on disk counts only while the machine that wrote it runs on.
func TestJournalAfterACrash(t *testing.T) {
	if bootID() == "" {
		t.Skip("the start of this machine has no name")
	}
	const head, a, b, c = `{"format":"bnfuse zoo journal","version":1}` + "\n", `{"path":"a"}` + "\n", `{"path":"b"}` + "\n", `{"path":"c"}` + "\n"
	const synced1, before = `{"synced":1}` + "\n", `{"boot":"another start"}` + "\n"
	now := `{"boot":"` + bootID() + `"}` + "\n"
	for _, test := range []struct{ name, text, want, unsynced string }{
		{"nothing", "", "", ""},
		{"this start", head + now + a + b, "a b", "a b"},
		{"this start, partly synced", head + now + a + b + synced1 + c, "a b c", "b c"},
		{"two runs of this start", head + now + a + now + b + synced1, "a b", "b"},
		{"another start", head + before + a + b, "", ""},
		{"another start, partly synced", head + before + a + b + synced1, "a", ""},
		{"another start, then this", head + before + a + b + synced1 + now + c, "a c", "c"},
		{"sorted", head + a + b + `{"synced":2}` + "\n", "a b", ""},
		{"more synced than there is", head + now + a + `{"synced":9}` + "\n", "a", ""},
		{"half a line", head + now + a + `{"path":"b"`, "a", "a"},
		{"no start", head + a, "", ""},
		{"written outside", head + now + `{"path":"b","wrote":[{"name":"../b"}]}` + "\n" + a, "a", "a"},
	} {
		paths, unsynced := entries(t, test.text)
		if got := strings.Join(paths, " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if got := strings.Join(unsynced, " "); got != test.unsynced {
			t.Errorf("%s: not synced %q, want %q", test.name, got, test.unsynced)
		}
	}
}

// A run that follows a killed one syncs what that one did not.
func TestJournalSyncsWhatWasLeft(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(out, "a"), []byte("x"))
	j, err := openJournal(dir, out, Shard{}, false, true)
	if err != nil {
		t.Fatal(err)
	}
	j.add(&entry{Path: "a", Wrote: []output{{"a", 1}}})
	j.file.Close() // as if it were killed
	j, err = openJournal(dir, out, Shard{}, false, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(j.pending) != 1 {
		t.Errorf("%d entries wait to be synced, want 1", len(j.pending))
	}
	if err := j.close(false); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(j.path)
	if err != nil || strings.Count(string(text), `{"synced":1}`) != 1 {
		t.Errorf("%v, journal:\n%s", err, text)
	}
}

// A journal is distrusted: whatever it says, reading it ends and nothing is taken for done that has no path.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"format":"bnfuse zoo journal","version":1}` + "\n" + `{"path":"../../etc/passwd","wrote":[{"name":"../x","size":-1}]}` + "\n" + `{"synced":99999999999999}` + "\n"))
	f.Add([]byte(`{"format":"bnfuse zoo journal","version":1}` + "\n" + `{"path":"a","report":{"norms":[{"name":"n"}]}}` + "\n" + `{"synced":1}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rec, err := readJournal(strings.NewReader(string(text)), "journal")
		if err != nil {
			return
		}
		if rec.whole > int64(len(text)) || rec.entries[""] != nil {
			t.Errorf("%d of %d bytes, %v", rec.whole, len(text), rec.entries)
		}
		for path, e := range rec.entries {
			if e.holds("key", []input{{Name: path}}, t.TempDir()) && e.Key != "key" {
				t.Errorf("%q holds", path)
			}
		}
	})
}
