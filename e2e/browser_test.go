package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp" // speaks to Chromium in Go, so that the tests need no second language
)

// chromiumPath finds the browser.
func chromiumPath() (string, error) {
	if path := os.Getenv("BNFUSE_CHROMIUM"); path != "" {
		return exec.LookPath(path)
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium (Debian: apt-get install chromium)")
}

// browser is a page open in headless Chromium, and everything the browser complained of.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // the console's, and requests that are not for the page itself
}

// openBrowser starts Chromium with a profile of its own. Without one the test is skipped, unless that is
// not allowed. Whatever the console or the network saw fails the test in the end.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := chromiumPath()
	if err != nil {
		if os.Getenv("BNFUSE_REQUIRE_CHROMIUM") == "1" || os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...) // the test's own context ends before its cleanups
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, enable := range []func() error{
		func() error { _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); return err },
		func() error { _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); return err },
	} {
		if err := enable(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // waits until it has gone, so that its profile can be removed
			t.Log(err)
		}
		for _, c := range b.complaints {
			t.Errorf("the browser complains: %s", c)
		}
	})
	return b
}

func (b *browser) listen(event any) {
	var complaint string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complaint = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			complaint += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		complaint = fmt.Sprintf("console.%s: %v", e.Type, e.Args)
	case *log.EventEntryAdded:
		complaint = fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		complaint = "dialog: " + e.Message
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "file:///") && !strings.HasPrefix(e.Request.URL, "data:") {
			complaint = "request for " + e.Request.URL
		}
	}
	if complaint != "" {
		b.mu.Lock()
		b.complaints = append(b.complaints, complaint)
		b.mu.Unlock()
	}
}

// run does a step within a minute.
func run[T any](b *browser, step chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, step)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// open loads a file anew, at a place in it.
func (b *browser) open(path, hash string) {
	b.t.Helper()
	run(b, chromedp.Navigate("about:blank")) // a step from one place in a file to another would not load it
	run(b, chromedp.Navigate("file://"+path+hash))
}

// ask evaluates JavaScript and gives the value as T.
func ask[T any](b *browser, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression))
}

// becomes waits for a condition in JavaScript.
func (b *browser) becomes(condition string) {
	b.t.Helper()
	deadline := time.Now().Add(time.Minute) // the machine may be busy
	for !ask[bool](b, "Boolean("+condition+")") {
		if time.Now().After(deadline) {
			b.t.Fatalf("after a minute it is still false that %s", condition)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// click presses the first element that matches a selector of CSS, with the mouse.
func (b *browser) click(selector string) {
	b.t.Helper()
	run(b, chromedp.Click(chromedp.CSS(selector)))
}

// press types keys where the focus is.
func (b *browser) press(keys string) {
	b.t.Helper()
	run(b, chromedp.KeyEvent(keys))
}

// screen sets the size of the window, and whether the system's colours are dark.
func (b *browser) screen(width, height int64, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	run(b, chromedp.EmulateViewport(width, height))
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		b.t.Fatal(err)
	}
}

// picture keeps a screenshot for people, in the folder that BNFUSE_SCREENSHOTS names.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("BNFUSE_SCREENSHOTS")
	if dir == "" {
		return
	}
	writeFile(b.t, filepath.Join(dir, name+".png"), run(b, chromedp.CaptureScreenshot()))
}

// quoted is a string for JavaScript.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can be written
	}
	return string(b)
}
