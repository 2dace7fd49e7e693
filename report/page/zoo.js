// zoo.js: the view of all models: totals, why norms stay, the scales of all norms, and the table.

// odd models are those that somebody should look at.
const odd = (m) => m.status === "failed" || m.dead > 0 || m.huge > 0 || m.warnings.length > 0;

// wanted is what the reader has asked for. It is in the address, so that a view can be kept and sent.
const wanted = { query: "", status: "", reason: "", sort: { name: "model", descending: false } };

const address = (m) => "#" + new URLSearchParams({ model: m.input });

const pathText = (path) => {
  const cut = path.lastIndexOf("/") + 1;
  return [cut > 0 && el("span", { class: "folder" }, breakable(path.slice(0, cut))), el("span", { class: "file" }, path.slice(cut))];
};

const badge = (m) => el("span", { class: `badge ${m.status}` }, dry && m.status === "fused" ? "can be fused" : m.status);

const tile = (name, value, ...below) => el("div", { class: "tile" }, el("h2", {}, name), el("p", { class: "value" }, value), el("div", { class: "below" }, below));

// share draws parts of a whole as one bar: [[name, n]].
const share = (parts) => el("div", { class: "share", "aria-hidden": "true" }, parts.filter(([, n]) => n > 0).map(([name, n]) => {
  const part = el("span", { class: name });
  part.style.flexGrow = n;
  return part;
}));

const legend = (parts) => el("p", {}, parts.filter(([, n]) => n > 0).map(([name, n, text]) => el("span", { class: `key ${name}` }, `${count(n)} ${text}`)));

function tiles() {
  const t = report.totals;
  const models = [["fused", t.fused, dry ? "can be fused" : "fused"], ["copied", t.copied, dry ? "to copy" : "copied"], ["failed", t.failed, "failed"]];
  const norms = t.folded + t.kept;
  const dead = report.models.reduce((n, m) => n + m.dead, 0);
  const huge = report.models.reduce((n, m) => n + m.huge, 0);
  return el("section", { class: "tiles", "aria-label": "Totals" },
    tile("Models", count(t.models), share(models), legend(models), t.resumed > 0 && el("p", {}, `${count(t.resumed)} done by an earlier run`)),
    tile(dry ? "Norms that can be folded" : "Norms folded", [count(t.folded), el("small", {}, ` of ${count(norms)}`)],
      share([["fused", t.folded], ["stays", t.kept]]), el("p", {}, norms > 0 && `${percent(t.folded, norms)}, ${count(t.kept)} stay`)),
    tile(dry ? "Size" : "Size before and after", bytes(t.bytes_in), !dry && el("p", {}, `\u2192 ${bytes(t.bytes_out)} (${change(t.bytes_out - t.bytes_in)})`),
      t.files > 0 && el("p", {}, `${plural(t.files, "other file")} copied along`)),
    tile("Time", seconds(t.seconds), el("p", {}, rate(t.bytes_in, t.seconds)), t.models > 1 && t.seconds > 0 && el("p", {}, `${scale(t.models / t.seconds)} models/s`)),
    tile("Models to look at", count(report.models.filter(odd).length), el("p", { class: "lines" },
      el("span", {}, plural(dead, "dead channel")), el("span", {}, plural(huge, "huge gain")), el("span", {}, plural(t.warnings, "warning")))));
}

// reasons lists why norms stay, the most frequent first; pressing one leaves the models that have it.
function reasons(list, pressed, press) {
  const most = Math.max(...list.map((r) => r.norms));
  const buttons = [];
  const rows = [...list].sort((a, b) => b.norms - a.norms).map((r) => {
    const bar = el("span", { class: "length" });
    bar.style.width = `${(100 * r.norms) / most}%`;
    const button = el("button", { type: "button", "aria-pressed": String(r.reason === pressed), onclick: () => {
      const now = button.getAttribute("aria-pressed") !== "true";
      buttons.forEach((b) => b.setAttribute("aria-pressed", "false"));
      button.setAttribute("aria-pressed", String(now));
      press(now ? r.reason : "");
    } }, el("span", { class: "text" }, r.reason), el("span", { class: "n" }, count(r.norms)), bar);
    buttons.push(button);
    return el("li", {}, button);
  });
  return el("ul", { class: "reasons" }, rows);
}

const normsCell = (m) => {
  if (m.folded + m.kept === 0) return el("span", { class: "none" }, m.status === "failed" ? "" : "none");
  return [el("span", { class: "of" }, count(m.folded), el("small", {}, ` / ${count(m.folded + m.kept)}`)), share([["fused", m.folded], ["stays", m.kept]])];
};

const number = (n, name) => (n === 0 ? el("span", { class: "none" }, "0") : el("span", { class: name }, count(n)));

const speed = (m) => (m.seconds > 0 && m.status !== "failed" ? m.bytes_in / m.seconds : 0);

const zooColumns = [
  { name: "model", label: "Model", value: (m) => m.input, cell: (m) => [el("a", { href: address(m), title: m.input }, pathText(m.input)), m.error && el("p", { class: "error", title: m.error }, m.error)] },
  { name: "status", label: "Status", value: (m) => m.status, cell: badge },
  { name: "norms", label: "Norms folded", title: "norms folded, of all norms", descending: true, value: (m) => m.folded, cell: normsCell },
  { name: "kept", label: "Stay", title: "norms that stay", descending: true, value: (m) => m.kept, cell: (m) => number(m.kept, "stays") },
  { name: "dead", label: "Dead", title: "channels whose |scale| is below 2\u207b\u00b2\u2070", descending: true, value: (m) => m.dead, cell: (m) => number(m.dead, "failed") },
  { name: "huge", label: "Huge", title: "channels whose |scale| is 128 or more", descending: true, value: (m) => m.huge, cell: (m) => number(m.huge, "stays") },
  { name: "warnings", label: "Warnings", descending: true, value: (m) => m.warnings.length, cell: (m) => number(m.warnings.length, "stays") },
  { name: "size", label: "Size", descending: true, value: (m) => m.bytes_in, cell: (m) => bytes(m.bytes_in) },
  { name: "change", label: "Change", title: "size of the output less that of the input", value: (m) => (m.output ? m.bytes_out - m.bytes_in : 0), cell: (m) => (m.output ? change(m.bytes_out - m.bytes_in) : "") },
  { name: "time", label: "Time", descending: true, value: (m) => m.seconds, cell: (m) => (m.seconds > 0 ? seconds(m.seconds) : "") },
  { name: "rate", label: "Rate", descending: true, value: speed, cell: (m) => rate(speed(m), 1) },
];

const matches = (m) => (wanted.status === "" || m.status === wanted.status || wanted.status === "odd" && odd(m)) &&
  (wanted.reason === "" || m.reasons.some((r) => r.reason === wanted.reason)) &&
  wanted.query.toLowerCase().split(/\s+/).every((word) => m.search.includes(word));

// makeZoo builds the view; show puts the models in that are wanted.
function makeZoo(root, changed) {
  const table = sortedTable({ caption: "Models", columns: zooColumns, sort: wanted.sort, changed, row(tr, m) {
    tr.classList.add("opens");
    tr.addEventListener("click", (e) => {
      if (!e.target.closest("a") && !getSelection().toString()) location.hash = address(m);
    });
  } });
  const shown = el("p", { class: "shown", role: "status" });
  const search = el("input", { type: "search", id: "search", placeholder: "name, format, engine, error", autocomplete: "off", spellcheck: "false", oninput: debounced(() => {
    wanted.query = search.value;
    refresh();
  }) });
  const statuses = [["", "All", report.totals.models], ["fused", dry ? "Can be fused" : "Fused", report.totals.fused], ["copied", "Copied", report.totals.copied], ["failed", "Failed", report.totals.failed], ["odd", "To look at", report.models.filter(odd).length]];
  const status = choices("Status", statuses, wanted.status, (value) => {
    wanted.status = value;
    refresh();
  });

  function refresh() {
    const found = report.models.filter(matches);
    shown.textContent = found.length === report.models.length ? plural(found.length, "model") : `${count(found.length)} of ${plural(report.models.length, "model")}`;
    table.show(found);
    changed();
  }

  for (const m of report.models) m.search = [m.input, m.output, m.format, m.engine, m.error].join(" ").toLowerCase();
  search.value = wanted.query;
  root.replaceChildren(...[
    tiles(),
    el("div", { class: "panels" },
      report.reasons.length > 0 && el("section", { class: "panel" }, el("h2", {}, "Why norms stay"), reasons(report.reasons, wanted.reason, (reason) => {
        wanted.reason = reason;
        refresh();
      })),
      scalesPanel("Scales of all batch norms folded", histogram(report.scales))),
    el("section", { class: "panel list" },
      el("div", { class: "filters" }, el("label", { for: "search" }, "Find"), search, status, shown),
      table.element)]);
  refresh();
  return table;
}
