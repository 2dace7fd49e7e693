// format.js: numbers as people read them.

const grouped = new Intl.NumberFormat("en");
const count = (n) => grouped.format(n);

const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

// bytes: 531.5 MB, 7.85 MB, 640 B.
function bytes(n) {
  if (Math.abs(n) < 1000) return `${Math.round(n)} B`;
  let x = n / 1000;
  let unit = 0;
  while (Math.abs(x) >= 999.95 && unit < 5) {
    x /= 1000;
    unit++;
  }
  return `${x.toFixed(Math.abs(x) < 9.995 ? 2 : 1)} ${"kMGTPE"[unit]}B`;
}

const minus = (text) => text.replace("-", "\u2212");

const change = (n) => (n > 0 ? "+" : "") + minus(bytes(n));

function seconds(s) {
  const whole = Math.round(s);
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (s >= 1) return `${s.toFixed(s < 10 ? 2 : 1)} s`;
  return `${(s * 1000).toFixed(s < 0.01 ? 1 : 0)} ms`;
}

const rate = (n, s) => (n > 0 && s > 0 ? `${bytes(n / s)}/s` : "");

// scale: three digits, 1.4e-7 for what is very small.
function scale(x) {
  if (x === null) return "";
  if (x === 0) return "0";
  const a = Math.abs(x);
  return minus(a < 1e-3 || a >= 1e5 ? x.toExponential(1) : String(Number(x.toPrecision(3))));
}

const epsilon = (text) => (Number(text) < 1e-3 ? minus(Number(text).toExponential()) : text);

const percent = (part, whole) => (whole === 0 ? "" : `${Math.floor((1000 * part) / whole) / 10} %`);
