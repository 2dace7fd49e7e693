// main.js: which view the address asks for, and light or dark.

const zooRoot = document.getElementById("zoo");
const modelRoot = document.getElementById("model");
let table = null; // of models, once it was needed
let left = 0; // how far the table was scrolled when a model was opened
let zooAddress = "#";

function about() {
  const place = [report.input, report.output].filter(Boolean).join(" \u2192 ");
  const parts = [place && el("b", {}, place), dry && el("span", { class: "badge copied" }, "dry run: nothing was written"),
    report.shard && `shard ${report.shard}`, report.engine && `engine ${report.engine}`, report.version && `bnfuse ${report.version}`];
  document.getElementById("about").append(...parts.filter(Boolean).map((p) => el("span", {}, p)));
}

// keep writes what is wanted into the address without a step in the history.
function keep() {
  const p = new URLSearchParams();
  if (wanted.query) p.set("q", wanted.query);
  if (wanted.status) p.set("status", wanted.status);
  if (wanted.reason) p.set("reason", wanted.reason);
  if (wanted.sort.name !== "model" || wanted.sort.descending) p.set("sort", (wanted.sort.descending ? "-" : "") + wanted.sort.name);
  zooAddress = "#" + p;
  if (!zooRoot.hidden) history.replaceState(null, "", zooAddress);
}

// read takes what is wanted from the address.
function read(p) {
  const sort = p.get("sort") ?? "model";
  const status = p.get("status") ?? "";
  wanted.query = p.get("q") ?? "";
  wanted.status = ["fused", "copied", "failed", "odd"].includes(status) ? status : "";
  wanted.reason = report.reasons.some((r) => r.reason === p.get("reason")) ? p.get("reason") : "";
  wanted.sort.name = sort.replace(/^-/, "");
  wanted.sort.descending = sort.startsWith("-");
}

function showModel(m) {
  if (!zooRoot.hidden) left = scrollY;
  zooRoot.hidden = true;
  modelRoot.hidden = false;
  const order = table ? table.order : report.models;
  const i = order.indexOf(m);
  const heading = makeModel(modelRoot, m, i < 0 ? [] : [order[i - 1], order[i + 1]]);
  const back = document.getElementById("back");
  if (back) back.href = zooAddress;
  document.title = `${m.input} \u00b7 bnfuse report`;
  scrollTo(0, 0);
  heading.focus({ preventScroll: true });
}

function showZoo(p) {
  const from = modelRoot.hidden ? null : modelRoot.dataset.model;
  modelRoot.hidden = true;
  modelRoot.replaceChildren();
  zooRoot.hidden = false;
  document.title = title;
  if (!table || location.hash !== zooAddress && location.hash !== "") {
    read(p);
    table = makeZoo(zooRoot, keep);
  }
  keep();
  scrollTo(0, left);
  if (from) zooRoot.querySelector(`a[href="${CSS.escape(from)}"]`)?.focus({ preventScroll: true });
}

// route shows what the address asks for: #model=NAME, or the table with #q=…&status=…&reason=…&sort=….
function route() {
  const p = new URLSearchParams(location.hash.slice(1));
  const named = report.models.find((m) => m.input === p.get("model"));
  const m = named ?? (report.models.length === 1 ? report.models[0] : null);
  if (m) {
    showModel(m);
    modelRoot.dataset.model = address(m);
  } else showZoo(p);
}

// The theme is the system's until the reader chooses.
const themes = ["auto", "light", "dark"];
const themeButton = document.getElementById("theme");
const memory = {
  get: () => { try { return localStorage.getItem("bnfuse-theme"); } catch { return null; } }, // a browser may forbid it to files
  set: (theme) => { try { localStorage.setItem("bnfuse-theme", theme); } catch { /* it lasts as long as the page */ } },
};

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  themeButton.textContent = { auto: "\u25d0 Auto", light: "\u2600 Light", dark: "\u263e Dark" }[theme];
  themeButton.setAttribute("aria-label", `Colours: ${theme}`);
}

themeButton.addEventListener("click", () => {
  const next = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
  setTheme(next);
  memory.set(next);
});

const title = document.title;
setTheme(themes.includes(memory.get()) ? memory.get() : "auto");
about();
addEventListener("hashchange", route);
route();
