// totals.js: what stands above the table of models.

// share draws parts of a whole as one bar: [name, n].
const share = (parts) => el("div", { class: "share", "aria-hidden": "true" },
  parts.filter(([, n]) => n > 0).map(([name, n]) => {
    const part = el("span", { class: name });
    part.style.flexGrow = n;
    return part;
  }));

// legend says the same in words: [name, n, text].
const legend = (parts) => el("p", {},
  parts.filter(([, n]) => n > 0).map(([name, n, text]) => el("span", { class: `key ${name}` }, `${count(n)} ${text}`)));

const tile = (name, value, ...below) => el("div", { class: "tile" },
  el("h2", {}, name), el("p", { class: "value" }, value), el("div", { class: "below" }, below));

const line = (text) => text && el("p", {}, text);

// odd models are those that somebody should look at.
const odd = (m) => m.status === "failed" || m.dead > 0 || m.huge > 0 || m.warnings.length > 0;

const sumOf = (key, models = report.models) => models.reduce((n, m) => n + m[key], 0);

function totals() {
  const t = report.totals;
  const models = [["fused", t.fused, dry ? "can be fused" : "fused"], ["copied", t.copied, dry ? "to copy" : "copied"],
    ["failed", t.failed, "failed"]];
  const norms = t.folded + t.kept;
  const now = report.models.filter((m) => !m.resumed); // the seconds are this run's
  return el("section", { class: "tiles", "aria-label": "Totals" },
    tile("Models", count(t.models), share(models), legend(models),
      line(t.resumed > 0 && `${count(t.resumed)} done by an earlier run`)),
    tile(dry ? "Norms that can be folded" : "Norms folded", [count(t.folded), " ", el("small", {}, `of ${count(norms)}`)],
      share([["fused", t.folded], ["stays", t.kept]]),
      line(norms > 0 && `${percent(t.folded, norms)}, ${count(t.kept)} stay`)),
    tile(dry ? "Size" : "Size before and after", bytes(sumOf("bytes_in", succeeded)),
      line(!dry && `\u2192 ${bytes(t.bytes_out)} (${change(t.bytes_out - sumOf("bytes_in", succeeded))})`),
      line(t.files > 0 && `${plural(t.files, "other file")} copied along`)),
    tile("Time", seconds(t.seconds), line(rate(sumOf("bytes_in", now), t.seconds)),
      line(t.seconds > 0 && now.length > 0 && `${scale(now.length / t.seconds)} models/s`)),
    tile("Models to look at", count(report.models.filter(odd).length), line(plural(sumOf("dead"), "dead channel")),
      line(plural(sumOf("huge"), "huge gain")), line(plural(t.warnings, "warning"))));
}
