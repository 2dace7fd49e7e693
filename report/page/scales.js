// scales.js: distributions of |scale| as pictures. The axis is logarithmic, a bar's height the square root of
// its count, so that the one channel that stands out is seen beside a thousand that do not. Dead channels
// have a bar of their own at the left end.

// span is the range of bins that a picture shows, from the histograms that are to be compared in it. What
// lies further out is drawn at its ends.
function span(list) {
  let low = 0;
  let high = 1;
  for (const h of list.filter(Boolean)) {
    const first = h.counts.findIndex((n, i) => n > 0 && h.first + i >= deadBelow);
    if (first < 0) continue;
    low = Math.min(low, h.first + first);
    high = Math.max(high, h.first + h.counts.length - 1);
  }
  return { low: Math.max(low, -24), high: Math.min(high, 24) };
}

// countsIn sums a histogram up over the bins of a span.
function countsIn(h, { low, high }) {
  const counts = new Array(high - low + 1).fill(0);
  h.counts.forEach((n, i) => {
    const k = h.first + i;
    if (k >= deadBelow) counts[Math.min(Math.max(k, low), high) - low] += n;
  });
  return counts;
}

function describe(h, min = null, max = null) {
  let text = plural(h.channels, "channel");
  if (min !== null) text += `, scale ${scale(min)} to ${scale(max)}`;
  if (h.dead > 0) text += `; ${count(h.dead)} dead`;
  if (h.huge > 0) text += `; ${count(h.huge)} at 128 or more`;
  return text;
}

// distribution draws a histogram over a range of bins, as bars of this width and height together. With axis it
// has numbers below, and says of each bar what it counts.
function distribution(h, range, { width, height, axis, label }) {
  const counts = countsIn(h, range);
  const most = Math.sqrt(Math.max(1, h.dead, ...counts));
  const deadWidth = axis ? 34 : 9; // the place of the bar of dead channels
  const step = (width - deadWidth) / counts.length;
  const at = (k) => deadWidth + (k - range.low) * step;
  const bar = (name, x, w, n, title) => {
    const tall = Math.max(1.5, (Math.sqrt(n) / most) * (height - 2));
    const place = { x: x.toFixed(2), y: (height - tall).toFixed(2), width: w.toFixed(2), height: tall.toFixed(2) };
    const tip = axis && svg("title", {}, `${plural(n, "channel")}: ${title}`);
    return n > 0 && svg("rect", { class: name, ...place }, tip);
  };
  const dead = bar("dead", axis ? 8 : 0, axis ? 12 : 5, h.dead, "|scale| < 2\u207b\u00b2\u2070");
  const others = counts.map((n, i) => {
    const k = range.low + i;
    const title = `${scale(binStart(k))} \u2264 |scale| < ${scale(binStart(k + 1))}`;
    return bar(k >= hugeFrom ? "huge" : "bar", at(k) + 0.5, Math.max(step - 1, 1), n, title);
  });
  const viewBox = `0 0 ${width} ${height + (axis ? 22 : 0.5)}`;
  return svg("svg", { class: "scales", width, viewBox, role: "img", "aria-label": label }, svg("title", {}, label),
    axis ? ticks(range, at, width, height) : svg("path", { class: "one", d: `M${at(0).toFixed(2)} 0V${height}` }),
    dead, others, svg("path", { class: "axis", d: `M0 ${height}H${width}` }));
}

// ticks marks the powers of ten, or each doubling where the range is short.
function ticks(range, at, width, height) {
  const base = range.high - range.low < 12 ? 2 : 10;
  const text = (x, label) => svg("text", { x, y: height + 17, "text-anchor": "middle" }, label);
  const marks = [text(14, "dead")];
  for (let e = -12; e <= 12; e++) {
    const x = at(2 * Math.log2(base ** e));
    if (x < 48 || x > width - 8) continue; // no room beside "dead", or out of the range
    marks.push(svg("path", { class: e === 0 ? "one" : "tick", d: `M${x.toFixed(1)} 0V${height + 4}` }),
      text(x.toFixed(1), scale(base ** e)));
  }
  return marks;
}

// chartWidth is that of a large picture: a phone gets a narrow one, so that its text is not made small.
const chartWidth = (wide) => Math.min(wide, Math.max(260, innerWidth - 70));

// scalesPanel shows a histogram of many norms together, where there is one.
function scalesPanel(heading, h) {
  if (!h) return null;
  const label = describe(h);
  return panel(heading, el("figure", {},
    distribution(h, span([h]), { width: chartWidth(590), height: 120, axis: true, label }),
    el("figcaption", {}, `${label}. Heights are square roots of counts.`)));
}
