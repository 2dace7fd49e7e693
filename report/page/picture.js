// picture.js: the neighbourhood of a norm. Data flow from left to right. What is folded has a broken outline
// and an arrow into the layer that takes it; what stays is whole, its arrow crossed out:
//
//	    ╭─────────╮              ╭────✕────╮
//	[ Conv ] → ┆ BN ┆          [ Conv ] → [ BN ]
//
// A norm before its layer stands left of it. Dots on the line are norms of a chain in between.

// shortKind is a kind as it fits into a small box.
function shortKind(kind) {
  const s = kind.replace("BatchNormalization", "BN").replace("BatchNorm", "BN").replace("ConvTranspose", "ConvT");
  return s.length > 9 ? s.slice(0, 8) + "\u2026" : s;
}

// standsBefore: a kept norm has no direction, but some reasons tell that its layer follows.
const standsBefore = (n) => n.direction === "before" || (!n.folded && n.reason.startsWith("norm before"));

// middle shortens a name to a length. It keeps both ends, which say more than what is between them.
function middle(name, length) {
  const c = [...name];
  const head = Math.floor(length * 0.4);
  return c.length <= length ? name : c.slice(0, head).join("") + "\u2026" + c.slice(head + 1 - length).join("");
}

// fateText is the picture in words: "folded into the following Conv conv1".
function fateText(n) {
  if (!n.folded) return `stays: ${n.reason}${n.detail ? ": " + n.detail : ""}`;
  return `folded into ${n.direction === "before" ? "the following " : ""}${n.layer_kind} ${n.layer}`;
}

// layout says where things are: w × h are a box, gap is between two, and rows stand step apart below top.
// most bounds the dots. chartWidth keeps a large picture within the screen.
const layout = (large) => large
  ? { w: chartWidth(350) - 140, h: 46, gap: 60, top: 34, step: 56, rise: 26, cross: 5, most: 3 }
  : { w: 54, h: 20, gap: 24, top: 15, step: 30, rise: 12, cross: 3.2, most: 1 };

// box draws a layer or a norm, with one line of text or two.
const box = (name, { w, h }, x, y, ...lines) => svg("g", { class: name },
  svg("rect", { x, y, width: w, height: h, rx: 4 }),
  lines.map((line, i) => svg("text", { class: i > 0 ? "name" : null, "text-anchor": "middle",
    x: x + w / 2, y: y + h / 2 + 4 + (i - (lines.length - 1) / 2) * 15 }, line)));

// head is the head of an arrow that arrives at a place in direction dx, dy.
const head = (x, y, dx, dy) =>
  `M${x - 3.5 * dx - 3 * dy} ${y - 3.5 * dy - 3 * dx}L${x} ${y}L${x - 3.5 * dx + 3 * dy} ${y - 3.5 * dy + 3 * dx}`;

// picture draws a norm: small for a row of the table, or large with names.
function picture(n, large) {
  const at = layout(large);
  const right = 1 + at.w + at.gap;
  const [layerX, normX] = standsBefore(n) ? [right, 1] : [1, right];
  const layers = n.layer === "" ? [] : n.layer.split(", ");
  const rows = Math.max(1, Math.min(layers.length, large ? 4 : 1));
  const norm = [shortKind(n.kind), middle(n.name, Math.floor(at.w / 7))].slice(0, large ? 2 : 1);
  const text = fateText(n);
  const viewBox = `0 0 ${right + at.w + 1} ${at.top + (rows - 1) * at.step + at.h + 1}`;
  return svg("svg", { class: large ? "picture large" : "picture", width: right + at.w + 1, viewBox,
    role: "img", "aria-label": text }, svg("title", {}, text),
    layerBoxes(n, layers, rows, at, layerX, large),
    box(n.folded ? "norm folded" : "norm kept", at, normX, at.top, ...norm),
    flow(n, at, standsBefore(n) ? rows : 1),
    foldArrow(n, at, normX + at.w / 2, layerX + at.w / 2));
}

// layerBoxes draws the layers below each other. The last box stands for those that have no room.
function layerBoxes(n, layers, rows, at, x, large) {
  if (layers.length === 0) return box("nothing", at, x, at.top, large ? "no layer to fold into" : "\u2013");
  const kind = shortKind(n.layer_kind.split(", ")[0]);
  return Array.from({ length: rows }, (_, i) => {
    const y = at.top + i * at.step;
    const others = layers.length - i;
    if (i === rows - 1 && others > 1) return box("layer", at, x, y, `${others} ${large ? "more " : ""}layers`);
    return box("layer", at, x, y, ...[kind, middle(layers[i], Math.floor(at.w / 7))].slice(0, large ? 2 : 1));
  });
}

// flow is the line from one box to the other, or from a norm to each of the layers behind it.
function flow(n, { w, h, gap, top, step, most }, rows) {
  const [x, y] = [1 + w, top + h / 2];
  const lines = Array.from({ length: rows }, (_, i) => {
    const start = i === 0 ? `M${x + 2} ${y}` : `M${x + gap / 2} ${y}V${y + i * step}`;
    return svg("path", { class: "flow", d: `${start}H${x + gap - 3}${head(x + gap - 2, y + i * step, 1, 0)}` });
  });
  const dots = Math.min(n.between, most);
  const between = Array.from({ length: dots }, (_, i) =>
    svg("circle", { class: "between", cx: x + gap / 2 - 2 + 7 * (i - (dots - 1) / 2), cy: y, r: 2.6 }));
  return [lines, between];
}

// foldArrow leads from the norm into its layer; where the norm stays it is crossed out.
function foldArrow(n, { top, rise, cross: r }, from, to) {
  const y = top - 2;
  const arc = `M${from} ${y}C${from} ${y - rise} ${to} ${y - rise} ${to} ${y}`;
  if (n.folded) return svg("path", { class: "fold", d: arc + head(to, y, 0, 1) });
  const corner = `M${(from + to) / 2 - r} ${y - rise * 0.75 - r}`;
  return [svg("path", { class: "fold refused", d: arc }),
    svg("path", { class: "cross", d: `${corner}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}` })];
}
