// data.js: the report, out of the packed form that pack.go writes.

const report = JSON.parse(document.getElementById("data").textContent);
const succeeded = report.models.filter((m) => m.status !== "failed");
const dry = succeeded.length > 0 && succeeded.every((m) => m.output === "");
for (const m of report.models) {
  m.warnings ??= [];
  m.name = m.input.startsWith(report.input + "/") ? m.input.slice(report.input.length + 1) : m.input;
}

// A histogram's bin k holds 2^(k/2) ≤ |scale| < 2^((k+1)/2). The bounds are those of histogram.go.
const minBin = -80;
const deadBelow = -40;
const hugeFrom = 14;
const deadTitle = "channels whose |scale| is below 2\u207b\u00b2\u2070";
const hugeTitle = "channels whose |scale| is 128 or more";
const binStart = (k) => 2 ** (k / 2);

// numbers reads what pack.go's appendVLQ has written: base-64 digits, five bits each, least first.
function numbers(text) {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const list = [];
  let n = 0;
  let weight = 1;
  for (const c of text) {
    const d = digits.indexOf(c);
    n += (d & 31) * weight;
    weight *= 32;
    if (d < 32) {
      list.push(n);
      n = 0;
      weight = 1;
    }
  }
  return list;
}

// nameOf puts a name together from its words.
const nameOf = (i) => numbers(report.names[i]).map((w) => report.words[w]).join("");

// histogram is {zero, first, counts} with what is read off it, or null where there is none.
function histogram(text) {
  if (!text) return null;
  const [zero, first, ...counts] = numbers(text);
  return readOff({ zero, first: first + minBin, counts });
}

function readOff(h) {
  Object.assign(h, { dead: h.zero, huge: 0, channels: h.zero });
  h.counts.forEach((n, i) => {
    h.channels += n;
    if (h.first + i < deadBelow) h.dead += n;
    if (h.first + i >= hugeFrom) h.huge += n;
  });
  return h;
}

// sum adds histograms up; of none it is null.
function sum(list) {
  const some = list.filter(Boolean);
  if (some.length === 0) return null;
  const first = some.reduce((low, h) => Math.min(low, h.first), some[0].first);
  const total = { zero: 0, first, counts: [] };
  for (const h of some) {
    total.zero += h.zero;
    h.counts.forEach((n, i) => {
      const k = h.first + i - first;
      total.counts[k] = (total.counts[k] ?? 0) + n;
    });
  }
  total.counts = Array.from(total.counts, (n) => n ?? 0); // bins that none has
  return readOff(total);
}

// normsOf unpacks a model's norms, in graph order.
function normsOf(model) {
  const norms = model.norms.map(([name, fate, channels, layer, a, b, scales], index) => {
    const n = { ...report.fates[fate], index, name: nameOf(name), channels, layer: nameOf(layer) };
    n.folded = n.status === "folded";
    n.detail = n.folded ? "" : nameOf(a);
    n.min = n.folded ? a : null;
    n.max = n.folded ? b : null;
    n.scales = n.folded ? histogram(scales) : null;
    n.between = 0;
    return n;
  });
  countBetween(norms);
  return norms;
}

// countBetween finds chains, Conv → BN → Mul: between counts the folded norms that stand between a norm and
// its layer. Those after a layer come in graph order, those before it end with the nearest.
function countBetween(norms) {
  for (const [direction, order] of [["after", norms], ["before", norms.toReversed()]]) {
    const seen = new Map();
    for (const n of order) {
      if (!n.folded || n.direction !== direction) continue;
      n.between = seen.get(n.layer) ?? 0;
      seen.set(n.layer, n.between + 1);
    }
  }
}
