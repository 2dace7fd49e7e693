// norms.js: the table of a model's norms.

const normCell = (n) => el("div", { class: "names" },
  el("span", { class: "file" }, breakable(n.name || "(no name)")),
  el("small", {}, [n.kind, n.channels > 0 && plural(n.channels, "channel"), n.eps && `\u03b5 ${epsilon(n.eps)}`]
    .filter(Boolean).join(" \u00b7 ")));

function whereCell(n) {
  if (!n.folded) {
    const layer = n.layer && `${n.layer_kind} ${n.layer}`;
    return [el("span", { class: "stays" }, n.reason), el("small", {}, [layer, n.detail].filter(Boolean).join(": "))];
  }
  return [el("span", { class: "direction" }, n.direction === "before" ? "into the following " : "into "),
    `${n.layer_kind} `, el("span", { class: "path" }, breakable(n.layer))];
}

const scalesCell = (n, range) => n.scales && [
  distribution(n.scales, range, { width: 132, height: 26, label: describe(n.scales, n.min, n.max) }),
  el("small", {}, n.min === n.max ? scale(n.min) : `${scale(n.min)} \u2026 ${scale(n.max)}`)];

const worstCell = (n) => n.scales && [
  n.scales.dead > 0 && el("span", { class: "failed" }, `${count(n.scales.dead)} dead`),
  n.scales.huge > 0 && el("span", { class: "stays" }, `${count(n.scales.huge)} huge`)];

const worst = (n) => (n.scales ? n.scales.dead + n.scales.huge : 0);

const largest = (n) => Math.max(Math.abs(n.min ?? 0), Math.abs(n.max ?? 0));

const normColumns = (range) => [
  { name: "norm", label: "Norm", title: "in the order of the graph", value: (n) => n.index,
    cell: (n) => el("div", { class: "named" }, toggle(n, range), normCell(n)) },
  { name: "drawn", label: "Neighbourhood", cell: (n) => picture(n, false) },
  { name: "where", label: "Where it went, or why it stays",
    value: (n) => (n.folded ? "0 " + n.layer : "1 " + n.reason), cell: whereCell },
  { name: "channels", number: true, label: "Channels", descending: true,
    value: (n) => n.channels, cell: (n) => n.channels > 0 && count(n.channels) },
  { name: "scales", label: "Scales", title: "distribution of |scale|; sorted by the largest", descending: true,
    value: largest, cell: (n) => scalesCell(n, range) },
  { name: "worst", label: "Dead, huge", title: `${deadTitle}; ${hugeTitle}`, descending: true,
    value: worst, cell: worstCell },
];

const normChoices = [
  ["", "All", () => true],
  ["folded", "Folded", (n) => n.folded],
  ["kept", "Stay", (n) => !n.folded],
  ["worst", "Dead or huge", (n) => worst(n) > 0],
];

// toggle is the button that opens a norm: a row below it with the pictures large.
function toggle(n, range) {
  const id = `norm-${n.index}`;
  const detail = () => el("tr", { class: "detail", id, role: "row" },
    el("td", { colspan: 6, role: "cell" }, large(n, range)));
  const button = el("button", { type: "button", class: "toggle",
    "aria-expanded": "false", "aria-controls": id, "aria-label": `Details of ${n.name}` });
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    if (open) button.closest("tr").after(detail());
    else document.getElementById(id)?.remove();
  });
  return button;
}

// large is what opening a norm shows.
function large(n, range) {
  const text = n.scales && describe(n.scales, n.min, n.max);
  const chain = n.between > 0 && `, through ${plural(n.between, "norm")} in between`;
  return el("div", { class: "opened" },
    el("figure", {}, picture(n, true), el("figcaption", {}, el("b", {}, n.name), ` ${fateText(n)}`, chain)),
    n.scales && el("figure", {},
      distribution(n.scales, range, { width: chartWidth(460), height: 110, axis: true, label: text }),
      el("figcaption", {}, text)));
}
