// model.js: the view of one model: what became of every norm.

const fact = (name, value) => value && el("div", {}, el("dt", {}, name), el("dd", {}, value));

function facts(m) {
  return el("dl", { class: "facts" },
    fact("Norms", m.status !== "failed" && `${count(m.folded)} of ${count(m.folded + m.kept)} ${m.output || !dry ? "folded" : "can be folded"}`),
    fact("Size", m.output ? `${bytes(m.bytes_in)} \u2192 ${bytes(m.bytes_out)} (${change(m.bytes_out - m.bytes_in)})` : bytes(m.bytes_in)),
    fact("Time", m.seconds > 0 && [seconds(m.seconds), m.status !== "failed" && rate(m.bytes_in, m.seconds)].filter(Boolean).join(", ")),
    fact("Engine", m.engine), fact("Format", m.format),
    fact("Output", m.output && el("span", { class: "path" }, m.output)),
    fact("Run", m.resumed && "done by an earlier run"));
}

const normName = (n) => [el("span", { class: "file" }, breakable(n.name || "(no name)")),
  el("small", {}, [n.kind, n.channels > 0 && plural(n.channels, "channel"), n.eps && `\u03b5 ${epsilon(n.eps)}`].filter(Boolean).join(" \u00b7 "))];

const whereCell = (n) => n.folded
  ? [el("span", { class: "direction" }, n.direction === "before" ? "into the following " : "into "), el("span", { class: "kind" }, n.layer_kind), " ", el("span", { class: "path" }, breakable(n.layer))]
  : [el("span", { class: "stays" }, n.reason), el("small", {}, [n.layer && `${n.layer_kind} ${n.layer}`, n.detail].filter(Boolean).join(": "))];

const scalesCell = (n, range) => n.scales && [distribution(n.scales, range, { width: 132, height: 26, label: describe(n.scales, n.min, n.max) }),
  el("small", {}, n.min === n.max ? scale(n.min) : `${scale(n.min)} \u2026 ${scale(n.max)}`)];

const worst = (n) => (n.scales ? n.scales.dead + n.scales.huge : 0);

const normColumns = (range, toggle) => [
  { name: "norm", label: "Norm", title: "in the order of the graph", value: (n) => n.index, cell: (n) => el("div", { class: "named" }, toggle(n), el("div", { class: "names" }, normName(n))) },
  { name: "drawn", label: "Neighbourhood", cell: (n) => picture(n, false) },
  { name: "where", label: "Where it went, or why it stays", value: (n) => (n.folded ? "0 " + n.layer : "1 " + n.reason), cell: whereCell },
  { name: "channels", label: "Channels", descending: true, value: (n) => n.channels, cell: (n) => (n.channels > 0 ? count(n.channels) : "") },
  { name: "scales", label: "Scales", title: "distribution of |scale|; sorted by the largest", descending: true, value: (n) => Math.max(Math.abs(n.min ?? 0), Math.abs(n.max ?? 0)), cell: (n) => scalesCell(n, range) },
  { name: "worst", label: "Dead, huge", title: "channels whose |scale| is below 2\u207b\u00b2\u2070, and channels where it is 128 or more", descending: true, value: worst, cell: (n) => n.scales && [n.scales.dead > 0 && el("span", { class: "failed" }, `${count(n.scales.dead)} dead`), n.scales.huge > 0 && el("span", { class: "stays" }, `${count(n.scales.huge)} huge`)] },
];

// large is what opening a norm shows.
function large(n, range) {
  return el("div", { class: "opened" },
    el("figure", {}, picture(n, true), el("figcaption", {}, el("b", {}, n.name), " ", fateText(n), n.between > 0 && `, through ${plural(n.between, "norm")} in between`)),
    n.scales && el("figure", {}, distribution(n.scales, range, { width: chartWidth(460), height: 110, axis: true, label: describe(n.scales, n.min, n.max) }), el("figcaption", {}, describe(n.scales, n.min, n.max))));
}

// normTable is the table of norms with its filters.
function normTable(m, norms) {
  const range = span(norms.map((n) => n.scales));
  const asked = { query: "", only: "", reason: "" };
  let ids = 0;
  const toggle = (n) => {
    const id = `norm-${ids++}`;
    return el("button", { type: "button", class: "toggle", "aria-expanded": "false", "aria-controls": id, "aria-label": `Details of ${n.name}`, onclick(e) {
      const tr = e.currentTarget.closest("tr");
      const open = e.currentTarget.getAttribute("aria-expanded") !== "true";
      e.currentTarget.setAttribute("aria-expanded", String(open));
      if (open) tr.after(el("tr", { class: "detail", id, role: "row" }, el("td", { colspan: 6, role: "cell" }, large(n, range))));
      else document.getElementById(id)?.remove();
    } });
  };
  const table = sortedTable({ caption: `Norms of ${m.input}`, columns: normColumns(range, toggle), sort: { name: "norm", descending: false }, row(tr) {
    tr.classList.add("opens");
    tr.addEventListener("click", (e) => {
      if (!e.target.closest("button") && !getSelection().toString()) tr.querySelector(".toggle").click();
    });
  } });
  const shown = el("p", { class: "shown", role: "status" });
  const search = el("input", { type: "search", id: "search-norms", placeholder: "norm, layer, kind, reason", autocomplete: "off", spellcheck: "false", oninput: debounced(() => {
    asked.query = search.value.toLowerCase();
    refresh();
  }) });
  const tests = { "": () => true, folded: (n) => n.folded, kept: (n) => !n.folded, worst: (n) => worst(n) > 0 };
  const only = choices("Norms", [["", "All"], ["folded", "Folded"], ["kept", "Stay"], ["worst", "Dead or huge"]].map(([v, text]) => [v, text, norms.filter(tests[v]).length]), "", (value) => {
    asked.only = value;
    refresh();
  });

  function refresh() {
    const words = asked.query.split(/\s+/);
    const found = norms.filter((n) => tests[asked.only](n) && (asked.reason === "" || n.reason === asked.reason) &&
      words.every((w) => `${n.name} ${n.kind} ${n.layer} ${n.layer_kind} ${n.reason} ${n.detail}`.toLowerCase().includes(w)));
    shown.textContent = found.length === norms.length ? plural(norms.length, "norm") : `${count(found.length)} of ${plural(norms.length, "norm")}`;
    table.show(found);
  }

  refresh();
  return [
    el("div", { class: "panels" },
      m.reasons.length > 0 && el("section", { class: "panel" }, el("h2", {}, "Why norms stay"), reasons(m.reasons, "", (reason) => {
        asked.reason = reason;
        refresh();
      })),
      scalesPanel("Scales of its batch norms folded", sum(norms.filter((n) => n.eps !== "").map((n) => n.scales)))),
    el("section", { class: "panel list norms" }, el("div", { class: "filters" }, el("label", { for: "search-norms" }, "Find"), search, only, shown), table.element)];
}

// makeModel builds the view. neighbours are the models before and after it in the table, where there are.
function makeModel(root, m, [before, after]) {
  const norms = normsOf(m);
  const step = (to, text, name) => to && el("a", { href: address(to), class: name, title: to.input }, text);
  const heading = el("h1", { tabindex: "-1" }, pathText(m.input));
  root.replaceChildren(...[
    report.models.length > 1 && el("nav", { "aria-label": "Models" }, el("a", { href: "#", class: "back", id: "back" }, "\u2190 All models"), step(before, "Previous", "previous"), step(after, "Next", "next")),
    el("div", { class: "heading" }, heading, badge(m)),
    m.error && el("p", { class: "panel error", role: "alert" }, m.error),
    facts(m),
    m.warnings.length > 0 && el("section", { class: "panel warnings" }, el("h2", {}, plural(m.warnings.length, "warning")), el("ul", {}, m.warnings.map((w) => el("li", {}, w)))),
    norms.length > 0 ? normTable(m, norms) : m.status !== "failed" && el("p", { class: "panel" }, "The model has no norms that bnfuse knows."),
  ].flat(Infinity).filter(Boolean));
  return heading;
}
