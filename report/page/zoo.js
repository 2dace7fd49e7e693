// zoo.js: the view of all models.

const address = (m) => "#" + new URLSearchParams({ model: m.input });

// pathText makes a path's last part stand out.
function pathText(path) {
  const cut = path.lastIndexOf("/") + 1;
  return [cut > 0 && el("span", { class: "folder" }, breakable(path.slice(0, cut))),
    el("span", { class: "file" }, path.slice(cut))];
}

const badge = (m) =>
  el("span", { class: `badge ${m.status}` }, dry && m.status === "fused" ? "can be fused" : m.status);

const nameCell = (m) => [el("a", { href: address(m), title: m.input }, pathText(m.name)),
  m.error && el("p", { class: "error", title: m.error }, m.cause)];

function normsCell(m) {
  if (m.folded + m.kept === 0) return m.status !== "failed" && el("span", { class: "none" }, "none");
  return [count(m.folded), el("small", {}, ` / ${count(m.folded + m.kept)}`),
    share([["fused", m.folded], ["stays", m.kept]])];
}

// A number that of a model that failed nobody knows.
const number = (m, n, name) => m.status !== "failed" && el("span", { class: n === 0 ? "none" : name }, count(n));

const speed = (m) => (m.seconds > 0 && m.status !== "failed" ? m.bytes_in / m.seconds : 0);

const growth = (m) => (m.output ? m.bytes_out - m.bytes_in : 0);

const timeTitle = "from its first byte to its last; small models wait for others that are multiplied with them";

const modelColumns = [
  { name: "model", label: "Model", value: (m) => m.name, cell: nameCell },
  { name: "status", label: "Status", value: (m) => m.status, cell: badge },
  { name: "norms", label: "Norms folded", title: "norms folded, of all norms", descending: true,
    value: (m) => m.folded, cell: normsCell },
  { name: "kept", number: true, label: "Stay", title: "norms that stay", descending: true,
    value: (m) => m.kept, cell: (m) => number(m, m.kept, "stays") },
  { name: "dead", number: true, label: "Dead", title: deadTitle, descending: true,
    value: (m) => m.dead, cell: (m) => number(m, m.dead, "failed") },
  { name: "huge", number: true, label: "Huge", title: hugeTitle, descending: true,
    value: (m) => m.huge, cell: (m) => number(m, m.huge, "stays") },
  { name: "warnings", number: true, label: "Warnings", descending: true,
    value: (m) => m.warnings.length, cell: (m) => number(m, m.warnings.length, "stays") },
  { name: "size", number: true, label: "Size", descending: true,
    value: (m) => m.bytes_in, cell: (m) => bytes(m.bytes_in) },
  { name: "change", number: true, label: "Change", title: "size of the output less that of the input",
    value: growth, cell: (m) => m.output && change(growth(m)) },
  { name: "time", number: true, label: "Time", title: timeTitle, descending: true,
    value: (m) => m.seconds, cell: (m) => m.seconds > 0 && seconds(m.seconds) },
  { name: "rate", number: true, label: "Rate", title: timeTitle, descending: true,
    value: speed, cell: (m) => rate(speed(m), 1) },
];

const modelChoices = [
  ["", "All", () => true],
  ["fused", dry ? "Can be fused" : "Fused", (m) => m.status === "fused"],
  ["copied", "Copied", (m) => m.status === "copied"],
  ["failed", "Failed", (m) => m.status === "failed"],
  ["odd", "To look at", odd],
];

// makeZoo builds the view of what is asked for, and returns its table.
function makeZoo(root, asked, changed) {
  const table = finder({
    all: report.models,
    noun: "model",
    search: (m) => [m.input, m.output, m.format, m.engine, m.error].join(" "),
    reasonsOf: (m) => m.reasons.map((r) => r.reason),
    placeholder: "Find: name, format, engine, error",
    choices: modelChoices,
    asked,
    changed,
    caption: "Models",
    columns: modelColumns,
    open: (m) => (location.hash = address(m)),
  });
  fill(root, {}, [totals(),
    warningPanel(report.warnings ?? []),
    el("div", { class: "panels" },
      reasonPanel(report.reasons, asked.reason, (reason) => table.ask({ reason })),
      scalesPanel("Scales of all batch norms folded", histogram(report.scales))),
    table.element]);
  return table;
}
