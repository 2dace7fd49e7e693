// model.js: the view of one model.

const fact = (name, value) => value && el("div", {}, el("dt", {}, name), el("dd", {}, value));

const sizes = (m) => bytes(m.bytes_in) + (m.output ? ` \u2192 ${bytes(m.bytes_out)} (${change(growth(m))})` : "");

function facts(m) {
  const norms = `${count(m.folded)} of ${count(m.folded + m.kept)} ${dry ? "can be folded" : "folded"}`;
  return el("dl", { class: "facts" },
    fact("Norms", m.status !== "failed" && norms),
    fact("Size", sizes(m)),
    fact("Time", m.seconds > 0 && [seconds(m.seconds), rate(speed(m), 1)].filter(Boolean).join(", ")),
    fact("Engine", m.engine),
    fact("Format", m.format),
    fact("Output", m.output && el("span", { class: "path" }, m.output)),
    fact("Run", m.resumed && "done by an earlier run"));
}

// way leads back to the table, and to the models before and after this one in it.
function way(back, before, after) {
  const step = (to, text) => to && el("a", { href: address(to), title: to.input }, text);
  return el("nav", { "aria-label": "Models" },
    el("a", { href: back, class: "back" }, "\u2190 All models"), step(before, "Previous"), step(after, "Next"));
}

// normPanels shows what became of every norm.
function normPanels(m) {
  const norms = normsOf(m);
  if (m.status === "failed") return null;
  if (norms.length === 0) return el("p", { class: "panel" }, "The model has no norms that bnfuse knows.");
  const table = finder({
    all: norms,
    noun: "norm",
    search: (n) => [n.name, n.kind, n.layer, n.layer_kind, n.reason, n.detail].join(" "),
    reasonsOf: (n) => [n.reason],
    placeholder: "Find: norm, layer, kind, reason",
    choices: normChoices,
    asked: { query: "", choice: "", reason: "", sort: { name: "norm", descending: false } },
    changed() {},
    caption: `Norms of ${m.input}`,
    columns: normColumns(span(norms.map((n) => n.scales))),
    open: (n, tr) => tr.querySelector(".toggle").click(),
  });
  const batchNorms = norms.filter((n) => n.eps !== "");
  return [
    el("div", { class: "panels" },
      reasonPanel(m.reasons, "", (reason) => table.ask({ reason })),
      scalesPanel("Scales of its batch norms folded", sum(batchNorms.map((n) => n.scales)))),
    table.element];
}

// makeModel builds the view and returns its heading. back is the table's address, where there is a table.
function makeModel(root, m, back, before, after) {
  const heading = el("h1", { tabindex: "-1", title: m.input }, pathText(m.name));
  fill(root, {}, [
    back && way(back, before, after),
    el("div", { class: "heading" }, heading, badge(m)),
    m.error && el("p", { class: "panel error", role: "alert" }, m.error),
    facts(m),
    warningPanel(m.warnings),
    normPanels(m)]);
  return heading;
}
