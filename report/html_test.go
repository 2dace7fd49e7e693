package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bnfuse/bnfuse/fuse"
)

// parts are the elements of a page that matter to its safety.
var parts = regexp.MustCompile(`(?s)<meta http-equiv="Content-Security-Policy" content="([^"]*)">.*<style>(.*?)</style>.*` +
	`<script type="application/json" id="data">(.*?)</script>\s*<script type="module">(.*?)</script>\s*</body>`)

func write(t *testing.T, z *Zoo) (page string, csp, style, data, script string) {
	t.Helper()
	var b bytes.Buffer
	if err := z.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	m := parts.FindStringSubmatch(b.String())
	if m == nil {
		t.Fatalf("the page has not the parts it should have: %.2000s", b.String())
	}
	return b.String(), m[1], m[2], m[3], m[4]
}

// TestPageStandsAlone: the policy allows this style and this script and nothing from elsewhere, and the page
// asks for nothing.
func TestPageStandsAlone(t *testing.T) {
	page, csp, style, _, script := write(t, zoo())
	want := fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; img-src data:; base-uri 'none'; form-action 'none'", hash(script), hash(style))
	if csp != want {
		t.Errorf("the policy is %s, want %s", csp, want)
	}
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("%d scripts", n)
	}
	for _, outside := range regexp.MustCompile(`(?i)https?:[^"' ]*|src=|@import|url\(|\bimport\b|fetch\(|innerHTML|eval\(`).FindAllString(page, -1) {
		if outside != "http://www.w3.org/2000/svg" { // a name, not an address
			t.Errorf("the page has %q", outside)
		}
	}
	if strings.Contains(page, "{{") {
		t.Error("a part of the page was not put in")
	}
	var again bytes.Buffer
	if err := zoo().WriteHTML(&again); err != nil || again.String() != page {
		t.Errorf("the same report gives another page (%v)", err)
	}
}

// TestPageOfHostileNames: no name ends the element it stands in or begins another.
func TestPageOfHostileNames(t *testing.T) {
	const name = "</script><script>alert(1)</script><!--<script>\"'&\u2028{{script}}\xff<img src=x onerror=alert(1)>"
	m := New(plan())
	m.Input, m.Output, m.Engine, m.Format, m.Error, m.Warnings = name, name, name, name, name, []string{name}
	for i := range m.Norms {
		n := &m.Norms[i]
		n.Name, n.Layer, n.Kind, n.LayerKind, n.Direction = name, name, name, name, name
	}
	z := &Zoo{Input: name, Output: name, Engine: name, Version: name, Shard: name, Models: []*Model{m}}
	page, _, _, data, _ := write(t, z)
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("%d scripts", n)
	}
	if strings.Contains(page, "<img") || strings.Contains(data, "<") {
		t.Error("a name became an element")
	}
	var back struct{ Input string }
	if err := json.Unmarshal([]byte(data), &back); err != nil || back.Input != strings.ToValidUTF8(name, "\uFFFD") {
		t.Errorf("%v: the data say %q", err, back.Input)
	}
}

// TestPageLeavesModelAlone: the JSON of a model is the same after its page was written.
func TestPageLeavesModelAlone(t *testing.T) {
	m := New(plan())
	var before, after, page bytes.Buffer
	if err := m.WriteJSON(&before); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteJSON(&after); err != nil || before.String() != after.String() {
		t.Errorf("%v, %s", err, &after)
	}
}

func TestPackedHistogram(t *testing.T) {
	for want, h := range map[string]*Histogram{
		"":         nil,
		"AwCB":     {First: 0, Counts: []int{1}},               // 0; 80 = 16 + 2·32, so a 16 that goes on and a 2; 1
		"BAA":      {Zero: 1, First: minBin, Counts: []int{0}}, //
		"AwCfgBhB": {First: 0, Counts: []int{31, 32, 33}},
		"AgFggB":   {First: maxBin, Counts: []int{1024}},
	} {
		if got := h.pack(); got != want {
			t.Errorf("%+v is %q, want %q", h, got, want)
		}
	}
}

// largeZoo is a zoo as large as they come: fine-tuned variants of a hundred architectures.
func largeZoo(models, norms int) *Zoo {
	r := rand.New(rand.NewPCG(1, 2))
	z := &Zoo{Input: "/data/zoo", Output: "/data/fused", Engine: "cuda:0", Version: "v1.0.0", Totals: Totals{Seconds: 100}}
	for i := range models {
		arch := i % 100
		p := &fuse.Plan{}
		for j := range norms {
			stage, block := j/16+1, j/3%6
			module := fmt.Sprintf("/arch%d/layer%d/layer%d.%d", arch, stage, stage, block)
			info := fuse.NormInfo{Index: j, Kind: "BatchNormalization", Name: fmt.Sprintf("%s/bn%d/BatchNormalization_%d", module, j%3+1, j), Channels: 64 << min(j/16, 5), Eps: 1e-5}
			layer := fuse.LayerInfo{Name: fmt.Sprintf("%s/conv%d/Conv_%d", module, j%3+1, j), Kind: "Conv"}
			if j%20 == 19 {
				p.Skips = append(p.Skips, fuse.Skip{Norm: info, Reason: fuse.ReasonNoLayer, Detail: fmt.Sprintf("it reads %q", module+"/Concat_output_0")})
				continue
			}
			a := fuse.Affine{Scale: make([]float64, info.Channels)}
			for c := range a.Scale {
				a.Scale[c] = math.Exp(r.NormFloat64())
			}
			p.Steps = append(p.Steps, fuse.Step{Norm: info, Layer: layer, Affine: a})
		}
		m := New(p)
		m.Input = fmt.Sprintf("vision/arch%d/finetuned-%d/model.onnx", arch, i)
		m.Output, m.Engine, m.Format, m.Seconds, m.BytesIn, m.BytesOut = m.Input, z.Engine, "onnx", r.Float64(), r.Int64N(1e9), r.Int64N(1e9)
		z.Models = append(z.Models, m)
	}
	z.Sum()
	return z
}

// TestLargePage: two thousand models stay a page that a browser opens at once.
func TestLargePage(t *testing.T) {
	if testing.Short() {
		t.Skip("120,000 norms")
	}
	z := largeZoo(2000, 60)
	var page, text bytes.Buffer
	start := time.Now()
	if err := z.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	inPage := time.Since(start)
	start = time.Now()
	if err := z.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	t.Logf("page %.1f MB in %v, JSON %.1f MB in %v", float64(page.Len())/1e6, inPage, float64(text.Len())/1e6, time.Since(start))
	if page.Len() >= 10e6 {
		t.Errorf("the page has %d bytes", page.Len())
	}
}

// TestPageHasWarnings: what concerns no single model is on the page too.
func TestPageHasWarnings(t *testing.T) {
	z := &Zoo{Warnings: []string{"pipe.onnx: left out"}}
	z.Sum()
	var page bytes.Buffer
	if err := z.WriteHTML(&page); err != nil || !strings.Contains(page.String(), `"warnings":["pipe.onnx: left out"]`) {
		t.Errorf("%v: the warning is not in the page", err)
	}
}
