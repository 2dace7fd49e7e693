package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bnreport "github.com/bnfuse/bnfuse/report"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hostile is the name of a model that would like to be more than a name.
const hostile = `</script><script>document.title="taken"</script><img src=x onerror='document.title="taken"'>"&ünï ✓`

// names of models by number; the first few are special.
const (
	failed    = iota // could not be read
	copied           // has nothing to fold
	hostileAt        // has a hostile name
	many             // has more norms than are drawn at once
	dead             // has dead channels and huge gains
	numModels = 2000
)

// pageZoo is a zoo with every kind of model among many.
func pageZoo() *bnreport.Zoo {
	z := &bnreport.Zoo{Input: "/data/models", Output: "/data/fused", Engine: "cuda:0", Version: "v1.2.3"}
	z.Totals.Seconds, z.Totals.Files = 42, 17
	for i := range numModels {
		m := &bnreport.Model{Input: modelName(i), Output: modelName(i), Engine: "cuda:0", Format: "onnx", Seconds: 0.01 * float64(1+i%50),
			BytesIn: int64(1+i) * 1e6, BytesOut: int64(1+i)*1e6 - 1000}
		norms := 3 + i%10
		switch i {
		case failed:
			m.Status, m.Error, m.Output, m.BytesOut, norms = bnreport.ModelFailed, "onnx: "+m.Input+": the file ends inside of a tensor", "", 0, 0
		case copied:
			m.Status, m.BytesOut, norms = bnreport.ModelCopied, m.BytesIn, 0
		case many:
			norms = 250
		case hostileAt:
			m.Warnings = []string{hostile}
		}
		addNorms(m, norms, i)
		z.Models = append(z.Models, m)
	}
	z.Sum()
	return z
}

func modelName(i int) string {
	if i == hostileAt {
		return hostile
	}
	return fmt.Sprintf("vision/family%d/model-%d.onnx", i%7, i)
}

func addNorms(m *bnreport.Model, norms, seed int) {
	for j := range norms {
		n := bnreport.Norm{Name: fmt.Sprintf("/layer%d/bn%d/BatchNormalization", j/4+1, j), Kind: "BatchNormalization", Channels: 64, Eps: 1e-5,
			Layer: fmt.Sprintf("/layer%d/conv%d/Conv", j/4+1, j), LayerKind: "Conv", Direction: "after", Status: bnreport.Folded,
			MinScale: 0.25, MaxScale: 4, Scales: &bnreport.Histogram{First: -4, Counts: []int{1, 3, 9, 20, 18, 7, 4, 1 + seed%2}}}
		switch {
		case j%11 == 10:
			n.Status, n.Direction, n.Layer, n.LayerKind, n.Scales = bnreport.Kept, "", "", "", nil
			n.Reason = `no layer beside it: it reads "/Concat_output_0"`
		case j%13 == 5:
			n.Status, n.Direction, n.Scales, n.Reason = bnreport.Kept, "", nil, "norm before a padded layer"
		case j%5 == 4:
			n.Direction, n.LayerKind, n.Layer = "before", "Gemm", "/fc1/Gemm, /fc2/Gemm"
		}
		if seed == hostileAt {
			n.Name, n.Layer = hostile, hostile
		}
		if seed == dead && j == 0 {
			n.Scales = &bnreport.Histogram{Zero: 3, First: -60, Counts: append(append([]int{2}, make([]int, 58)...), 10, 20, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)}
		}
		if n.Status == bnreport.Folded {
			m.Folded++
		} else {
			m.Kept++
		}
		m.Norms = append(m.Norms, n)
	}
}

// writePage has the program make the page of a report.
func writePage(t *testing.T, z *bnreport.Zoo) string {
	t.Helper()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "zoo.json"), filepath.Join(dir, "zoo.html")
	f, err := os.Create(source)
	if err == nil {
		err = z.WriteJSON(f)
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	if r := bnfuse(t, "report", "merge", source, "-o", out); r.code != 0 {
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	return out
}

// firstModels are the names in the first rows of the table.
func firstModels(b *browser, n int) []string {
	b.t.Helper()
	return ask[[]string](b, fmt.Sprintf("[...document.querySelectorAll('#zoo tbody tr a')].slice(0, %d).map((a) => a.textContent)", n))
}

// sortButton is the button in the header of a column.
func sortButton(column string) string { return "#zoo thead ." + column + " button" }

func wantModels(b *browser, why string, models ...int) {
	b.t.Helper()
	var want []string
	for _, i := range models {
		want = append(want, modelName(i))
	}
	if got := firstModels(b, len(want)); !slices.Equal(got, want) {
		b.t.Errorf("%s: the first models are %q, want %q", why, got, want)
	}
}

// TestPageTable: the table of two thousand models sorts, by mouse and keyboard, filters, and grows as it is read.
func TestPageTable(t *testing.T) {
	b := openBrowser(t)
	b.screen(1280, 900, false)
	b.open(writePage(t, pageZoo()), "")
	if text := ask[string](b, "document.querySelector('.tiles').innerText"); !strings.Contains(text, "2,000") || !strings.Contains(text, "1,998 fused") || !strings.Contains(text, "17 other files") {
		t.Errorf("the totals are %q", text)
	}
	b.picture("zoo-light")

	b.click(sortButton("size"))
	wantModels(b, "largest first", 1999, 1998, 1997)
	b.press(kb.Enter)
	wantModels(b, "by the keyboard, smallest first", 0, 1)
	if order := ask[string](b, "document.querySelector('#zoo th.size').ariaSort"); order != "ascending" {
		t.Errorf("aria-sort is %q", order)
	}
	b.click(sortButton("kept"))
	wantModels(b, "most norms that stay", many)
	b.click(sortButton("dead"))
	wantModels(b, "most dead channels", dead)

	rows := "document.querySelectorAll('#zoo tbody tr').length"
	if n := ask[int](b, rows); n > 300 {
		t.Errorf("%d rows are made before anybody has seen them", n)
	}
	for n := ask[int](b, rows); n < numModels; n = ask[int](b, rows) {
		ask[any](b, "scrollTo(0, document.body.scrollHeight)")
		b.becomes(fmt.Sprintf("%s > %d", rows, n))
	}

	shown := "document.querySelector('#zoo .shown').textContent"
	ask[any](b, "scrollTo(0, 0)")
	b.click("#zoo input")
	b.press("FAMILY3 -17")
	b.becomes(shown + " !== '2,000 models'")
	for _, name := range firstModels(b, 50) {
		if !strings.Contains(name, "family3") || !strings.Contains(name, "-17") {
			t.Errorf("the filter lets %q through", name)
		}
	}
	ask[any](b, "document.querySelector('#zoo input').select()")
	b.press(kb.Delete)
	b.becomes(shown + " === '2,000 models'")
	b.click("#zoo .choices button:nth-child(4)")
	wantModels(b, "failed", failed)
	if text := ask[string](b, shown); text != "1 of 2,000 models" {
		t.Errorf("it shows %q", text)
	}
	b.click("#zoo .choices button:nth-child(1)")
	b.click("#zoo .reasons button")
	b.becomes(shown + " !== '2,000 models'")
	if hash := ask[string](b, "location.hash"); !strings.Contains(hash, "reason=") || !strings.Contains(hash, "sort=-dead") {
		t.Errorf("the address is %q", hash)
	}
}

// TestPageModel: a model opens by a click and by its address, and shows its norms; the way back leads to the
// table as it was.
func TestPageModel(t *testing.T) {
	b := openBrowser(t)
	b.screen(1280, 900, false)
	path := writePage(t, pageZoo())
	b.open(path, "#status=fused&sort=-kept")
	wantModels(b, "the address says the order", many)
	b.click("#zoo tbody tr td.size")
	b.becomes("!document.querySelector('#model').hidden && document.querySelector('#zoo').hidden")
	if h := ask[string](b, "document.querySelector('h1').textContent"); h != modelName(many) {
		t.Errorf("it opened %q", h)
	}
	rows := "document.querySelectorAll('#model tbody tr.opens').length"
	if n := ask[int](b, rows); n < 100 || n >= 250 {
		t.Errorf("%d of 250 rows are made", n)
	}
	first := ask[string](b, "document.querySelector('#model tbody tr').innerText")
	if !strings.Contains(first, "/layer1/bn0/BatchNormalization") || !strings.Contains(first, "into Conv /layer1/conv0/Conv") || !strings.Contains(first, "0.25 … 4") {
		t.Errorf("the first norm is %q", first)
	}
	if text := ask[string](b, "document.querySelector('#model .reasons').innerText"); !strings.Contains(text, "no layer beside it") || !strings.Contains(text, "norm before a padded layer") {
		t.Errorf("the reasons are %q", text)
	}
	b.picture("model-light")
	b.click("#model .toggle")
	b.becomes("document.querySelectorAll('#model tr.detail svg').length === 2")
	b.press(kb.Enter)
	b.becomes("document.querySelectorAll('#model tr.detail').length === 0")
	b.click("#model .choices button:nth-child(3)")
	if n := ask[int](b, rows); n != 40 {
		t.Errorf("%d norms stay", n)
	}
	b.click("#model .back")
	b.becomes("document.querySelector('#model').hidden")
	wantModels(b, "back in the table", many)
	if at := ask[string](b, "document.activeElement.textContent"); at != modelName(many) {
		t.Errorf("the focus is at %q", at)
	}
	run(b, chromedp.NavigateBack())
	b.becomes("!document.querySelector('#model').hidden") // the browser's own way back

	b.open(path, ask[string](b, fmt.Sprintf("'#' + new URLSearchParams({model: %s})", quoted(hostile))))
	b.becomes("!document.querySelector('#model').hidden")
	for what, selector := range map[string]string{"name": "h1", "warning": "#model .warned li", "norm": "#model tbody .file", "layer": "#model tbody .where .path"} {
		if text := ask[string](b, fmt.Sprintf("document.querySelector(%s).textContent", quoted(selector))); text != hostile {
			t.Errorf("the %s is shown as %q", what, text)
		}
	}
	if title := ask[string](b, "document.title"); !strings.HasPrefix(title, hostile) {
		t.Errorf("the title is %q", title)
	}
	if n := ask[int](b, "document.querySelectorAll('img').length"); n != 0 {
		t.Error("a name became an element")
	}
}

// TestPageOfOneModel: the page that `bnfuse fuse` writes is open at its model.
func TestPageOfOneModel(t *testing.T) {
	b := openBrowser(t)
	b.screen(1280, 900, false)
	dir := t.TempDir()
	out := filepath.Join(dir, "report.html")
	if r := bnfuse(t, "fuse", filepath.Join(testdata, "densenet.onnx"), "-o", filepath.Join(dir, "out.onnx"), "--report", out); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	b.open(out, "")
	b.becomes("!document.querySelector('#model').hidden && document.querySelector('#zoo').hidden")
	if h := ask[string](b, "document.querySelector('h1 .file').textContent"); h != "densenet.onnx" {
		t.Errorf("it shows %q", h)
	}
	if n := ask[int](b, "document.querySelectorAll('#model tbody tr svg.picture').length"); n != 16 {
		t.Errorf("%d norms are drawn", n)
	}
	b.picture("one-light")
}

// TestPageColours: light and dark follow the system until the button says otherwise, and every text can be
// read in both, on a wide screen and on a phone, where nothing is cut off.
func TestPageColours(t *testing.T) {
	b := openBrowser(t)
	path := writePage(t, pageZoo())
	for _, dark := range []bool{false, true} {
		for width, name := range map[int64]string{1280: "wide", 375: "phone"} {
			b.screen(width, 800, dark)
			for view, hash := range map[string]string{"zoo": "", "model": "#model=" + modelName(many), "dead": "#model=" + modelName(dead), "failed": "#model=" + modelName(failed), "hostile": "#q=script"} {
				b.open(path, hash)
				b.becomes("document.querySelector('main:not([hidden])')")
				if view == "dead" {
					b.click("#model .toggle")
				}
				name := fmt.Sprintf("%s-%s-%s", view, name, map[bool]string{false: "light", true: "dark"}[dark])
				b.picture(name)
				if isDark := ask[float64](b, luminance+"luminance(getComputedStyle(document.body).backgroundColor)") < 0.2; isDark != dark {
					t.Errorf("%s: the background is dark: %v", name, isDark)
				}
				for _, faint := range ask[[]string](b, faintTexts) {
					t.Errorf("%s: hard to read: %s", name, faint)
				}
				if over := ask[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
					t.Errorf("%s: %d pixels are cut off", name, over)
				}
			}
		}
	}
	b.open(path, "")
	for _, want := range []string{"light", "dark", "auto"} {
		b.click("#theme")
		if got := ask[string](b, "document.documentElement.dataset.theme"); got != want {
			t.Errorf("the theme is %q, want %q", got, want)
		}
		isDark := ask[float64](b, luminance+"luminance(getComputedStyle(document.body).backgroundColor)") < 0.2
		if isDark != (want != "light") { // the system is dark
			t.Errorf("theme %s is dark: %v", want, isDark)
		}
	}
}

// luminance is WCAG's relative luminance of a colour in CSS.
const luminance = `
	function luminance(css) {
		const [r, g, b] = css.match(/[\d.]+/g).map(Number).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};`

// faintTexts lists the texts whose contrast with what is behind them is less than the 4.5 of WCAG 2 AA.
const faintTexts = luminance + `
	[...document.querySelectorAll("main:not([hidden]) *, .top *")].filter((e) => e.checkVisibility() && !e.closest("svg") &&
		[...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== "")).flatMap((e) => {
		let behind = e;
		while (behind && /, 0\)$|transparent/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
		const [x, y] = [luminance(getComputedStyle(e).color), luminance(getComputedStyle(behind ?? document.body).backgroundColor)];
		const contrast = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05) * (getComputedStyle(e).opacity < 1 ? getComputedStyle(e).opacity : 1);
		return contrast < 4.5 ? [e.className + " " + JSON.stringify(e.textContent.slice(0, 30)) + " has a contrast of " + contrast.toFixed(2)] : [];
	}).slice(0, 5)`
