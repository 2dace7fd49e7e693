// scales.js: distributions of |scale| as pictures. The axis is logarithmic, a bar's height the square root of
// its count, so that the one channel that stands out is seen beside a thousand that do not. Dead channels
// have a bar of their own at the left end.

// span is the range of bins that a picture shows, from the histograms that are to be compared in it. What
// lies further out is drawn at its ends.
function span(list) {
  let low = 0;
  let high = 1;
  for (const h of list) {
    if (!h) continue;
    let first = 0;
    while (first < h.counts.length && (h.counts[first] === 0 || h.first + first < deadBelow)) first++;
    if (first === h.counts.length) continue;
    low = Math.min(low, h.first + first);
    high = Math.max(high, h.first + h.counts.length - 1);
  }
  return { low: Math.max(low, -24), high: Math.min(high, 24) };
}

// bars sums a histogram up over the bins of a span.
function bars(h, { low, high }) {
  const counts = new Array(high - low + 1).fill(0);
  h.counts.forEach((n, i) => {
    const k = h.first + i;
    if (k >= deadBelow) counts[Math.min(Math.max(k, low), high) - low] += n;
  });
  return counts;
}

function describe(h, min, max) {
  let text = plural(h.channels, "channel");
  if (min !== null && min !== undefined) text += `, scale ${scale(min)} to ${scale(max)}`;
  if (h.dead > 0) text += `; ${count(h.dead)} dead`;
  if (h.huge > 0) text += `; ${count(h.huge)} at 128 or more`;
  return text;
}

const rangeText = (k) => `${scale(binStart(k))} \u2264 |scale| < ${scale(binStart(k + 1))}`;

// bar is a column of the picture; its title says what it counts.
const bar = (x, width, height, base, name, title) =>
  svg("rect", { x: x.toFixed(2), y: (base - height).toFixed(2), width: width.toFixed(2), height: height.toFixed(2), class: name }, title && svg("title", {}, title));

// distribution draws a histogram: width × height of the bars, with an axis below where there is room for one.
function distribution(h, range, { width, height, axis, label }) {
  const counts = bars(h, range);
  const most = Math.sqrt(Math.max(1, h.dead, ...counts));
  const dead = axis ? 34 : 9; // the place of the bar of dead channels
  const step = (width - dead) / counts.length;
  const tall = (n) => (n === 0 ? 0 : Math.max(1.5, (Math.sqrt(n) / most) * (height - 2)));
  const at = (k) => dead + (k - range.low) * step;
  const parts = [];
  if (axis) parts.push(ticks(range, at, width, height));
  else if (range.low <= 0 && range.high >= 0) parts.push(svg("path", { class: "one", d: `M${at(0).toFixed(2)} 0V${height}` }));
  if (h.dead > 0) parts.push(bar(axis ? 8 : 0, axis ? 12 : 5, Math.max(4, tall(h.dead)), height, "dead", `${plural(h.dead, "dead channel")}: |scale| < 2\u207b\u00b2\u2070`));
  counts.forEach((n, i) => {
    const k = range.low + i;
    if (n > 0) parts.push(bar(at(k) + 0.5, Math.max(step - 1, 1), tall(n), height, k >= hugeFrom ? "huge" : "bar", axis && `${plural(n, "channel")}: ${rangeText(k)}`));
  });
  parts.push(svg("path", { class: "axis", d: `M0 ${height}H${width}` }));
  return svg("svg", { class: axis ? "scales large" : "scales", width, viewBox: `0 0 ${width} ${height + (axis ? 22 : 0.5)}`, role: "img", "aria-label": label }, svg("title", {}, label), parts);
}

// chartWidth is that of a large picture: a phone gets a narrow one, so that its text is not made small.
const chartWidth = (wide) => Math.min(wide, Math.max(260, innerWidth - 70));

// scalesPanel shows a histogram of many norms together.
const scalesPanel = (title, h) => h && el("section", { class: "panel" }, el("h2", {}, title),
  el("figure", {}, distribution(h, span([h]), { width: chartWidth(590), height: 120, axis: true, label: describe(h) }),
    el("figcaption", {}, `${describe(h)}. Heights are square roots of counts.`)));

// ticks marks the powers of ten, or each doubling where the span is short.
function ticks(range, at, width, height) {
  const marks = [];
  const doublings = range.high - range.low < 12;
  for (let e = -12; e <= 12; e++) {
    const value = doublings ? 2 ** e : 10 ** e;
    const x = at(2 * Math.log2(value));
    if (x < 48 || x > width - 8) continue;
    marks.push(svg("path", { class: value === 1 ? "one" : "tick", d: `M${x.toFixed(1)} 0V${height + 4}` }),
      svg("text", { x: x.toFixed(1), y: height + 17, "text-anchor": "middle" }, scale(value)));
  }
  return [marks, svg("text", { x: 14, y: height + 17, "text-anchor": "middle" }, "dead")];
}
