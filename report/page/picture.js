// picture.js: the neighbourhood of a norm. Data flow from left to right; what is folded has a broken outline
// and an arrow into the layer that takes it, and what stays is whole, its arrow crossed out:
//
//	      ╭─────╮                    ╭──✕──╮
//	[ Conv ] → ⟨ BN ⟩          [ Conv ] → [ BN ]
//
// A norm before its layer stands left of it. Dots on the line are norms of a chain in between.

const shortKinds = { BatchNormalization: "BN", ConvTranspose: "ConvT", ConvTranspose1d: "ConvT1d", ConvTranspose2d: "ConvT2d", ConvTranspose3d: "ConvT3d" };

const shortKind = (kind) => {
  const s = shortKinds[kind] ?? kind.replace(/^BatchNorm/, "BN");
  return s.length > 9 ? s.slice(0, 8) + "\u2026" : s;
};

// standsBefore: a kept norm has no direction, but some reasons tell that its layer follows.
const standsBefore = (n) => n.direction === "before" || (!n.folded && n.reason.startsWith("norm before"));

const box = (x, y, width, height, name, ...labels) => svg("g", { class: name },
  svg("rect", { x, y, width, height, rx: 4 }),
  labels.map((label, i) => svg("text", { x: x + width / 2, y: y + height / 2 + 4 + (i - (labels.length - 1) / 2) * 15, "text-anchor": "middle", class: i > 0 ? "name" : null }, label)));

const arrowHead = (x, y, dx, dy) => `M${x - 3.5 * dx - 3 * dy} ${y - 3.5 * dy - 3 * dx}L${x} ${y}L${x - 3.5 * dx + 3 * dy} ${y - 3.5 * dy + 3 * dx}`;

// middle keeps both ends of a name, which say more than what is between them.
function middle(name, length) {
  const c = [...name];
  return c.length <= length ? name : c.slice(0, Math.floor(length * 0.4)).join("") + "\u2026" + c.slice(-Math.floor(length * 0.6) + 1).join("");
}

// picture draws a norm: small for a row of the table, or large with names.
function picture(n, large) {
  const w = large ? chartWidth(210 + 140) - 140 : 54; // of a box
  const h = large ? 46 : 20;
  const gap = large ? 60 : 24;
  const top = large ? 34 : 15;
  const layers = n.layer === "" ? [] : n.layer.split(", ");
  const drawn = large ? layers.slice(0, 4) : layers.slice(0, 1);
  const tall = Math.max(1, drawn.length) * (h + 10) - 10;
  const [layerX, normX] = standsBefore(n) ? [1 + w + gap, 1] : [1, 1 + w + gap];
  const label = large ? (kind, name) => [shortKind(kind), middle(name, Math.floor(w / 7))] : (kind) => [shortKind(kind)];
  const parts = [];

  if (layers.length > 1 && !large) parts.push(box(layerX + 4, top - 4, w - 4, h, "layer behind"), box(layerX + 2, top - 2, w - 3, h, "layer behind"));
  if (layers.length === 0) parts.push(box(layerX, top, w, h, "nothing", large ? "no layer to fold into" : "\u2013"));
  drawn.forEach((name, i) => parts.push(box(layerX, top + i * (h + 10), w - (layers.length > 1 && !large ? 4 : 0), h, "layer",
    ...label(layers.length > 1 && !large ? `${layers.length} \u00d7` : n.layer_kind.split(", ")[0] || "layer", name))));
  parts.push(box(normX, top, w, h, n.folded ? "norm folded" : "norm kept", ...label(n.kind, n.name)));
  parts.push(flow(n, 1 + w, top + h / 2, gap, drawn.length, h + 10), fold(n, layerX + w / 2, normX + w / 2, top, large));
  if (layers.length > drawn.length && large) parts.push(svg("text", { x: layerX + w / 2, y: top + tall + 16, "text-anchor": "middle" }, `and ${layers.length - drawn.length} more`));

  const height = top + tall + (layers.length > drawn.length && large ? 22 : 1);
  return svg("svg", { class: large ? "picture large" : "picture", width: 2 * w + gap + 2, viewBox: `0 0 ${2 * w + gap + 2} ${height}`, role: "img", "aria-label": fateText(n) }, svg("title", {}, fateText(n)), parts);
}

// flow is the line from one box to the other, or from a norm to each of the layers behind it.
function flow(n, x, y, gap, layers, step) {
  const parts = [];
  for (let i = 0; i < Math.max(1, layers); i++) {
    const to = y + i * step;
    const d = i === 0 ? `M${x + 2} ${y}H${x + gap - 3}` : `M${x + gap / 2} ${y}V${to}H${x + gap - 3}`;
    parts.push(svg("path", { class: "flow", d: d + arrowHead(x + gap - 2, to, 1, 0) }));
  }
  for (let i = 0; i < Math.min(n.between, 3); i++) parts.push(svg("circle", { class: "between", cx: x + gap / 2 - 2 + 7 * (i - (Math.min(n.between, 3) - 1) / 2), cy: y, r: 2.6 }));
  return parts;
}

// fold is the arrow by which the norm goes into its layer.
function fold(n, layerX, normX, top, large) {
  const rise = large ? 26 : 12;
  const y = top - 2;
  const arc = svg("path", { class: n.folded ? "fold" : "fold refused", d: `M${normX} ${y}C${normX} ${y - rise} ${layerX} ${y - rise} ${layerX} ${y}` + (n.folded ? arrowHead(layerX, y, 0, 1) : "") });
  if (n.folded) return arc;
  const [x, crossY, r] = [(layerX + normX) / 2, y - rise * 0.75, large ? 5 : 3.2];
  return [arc, svg("path", { class: "cross", d: `M${x - r} ${crossY - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}` })];
}

// fateText is the picture in words: "folded into the following Conv conv1".
function fateText(n) {
  if (n.folded) return `folded into ${n.direction === "before" ? "the following " : ""}${n.layer_kind} ${n.layer}`;
  return `stays: ${n.reason}${n.detail ? ": " + n.detail : ""}`;
}
