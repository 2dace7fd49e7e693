// main.js: which view the address asks for, and light or dark.

const zooRoot = document.getElementById("zoo");
const modelRoot = document.getElementById("model");
const title = document.title;
let table = null; // of models, once it was needed
const asked = { query: "", choice: "", reason: "", sort: { name: "model", descending: false } }; // of the table
const left = { address: "#", scrolled: 0 }; // where the reader left the table

function about() {
  const place = [report.input, report.output].filter(Boolean).join(" \u2192 ");
  const parts = [place && el("b", {}, place), dry && el("span", { class: "badge" }, "dry run: nothing was written"),
    report.shard && `shard ${report.shard}`, report.engine && `engine ${report.engine}`,
    report.version && `bnfuse ${report.version}`];
  fill(document.getElementById("about"), {}, parts.filter(Boolean).map((p) => el("span", {}, p)));
}

// keep writes what is asked for into the address, without a step in the history.
function keep() {
  const { query, choice, reason, sort } = asked;
  const by = (sort.descending ? "-" : "") + sort.name;
  const all = { q: query, status: choice, reason, sort: by === "model" ? "" : by };
  left.address = "#" + new URLSearchParams(Object.entries(all).filter(([, value]) => value !== ""));
  history.replaceState(null, "", left.address);
}

// read takes what is asked for from the address.
function read(p) {
  const known = (name, list) => (list.includes(p.get(name)) ? p.get(name) : "");
  asked.query = p.get("q") ?? p.get("model") ?? ""; // a model that is not here is looked for
  asked.choice = known("status", modelChoices.map(([value]) => value));
  asked.reason = known("reason", report.reasons.map((r) => r.reason));
  const sort = p.get("sort") ?? "model";
  asked.sort = { name: sort.replace(/^-/, ""), descending: sort.startsWith("-") };
}

function showModel(m) {
  if (!zooRoot.hidden) left.scrolled = scrollY;
  zooRoot.hidden = true;
  modelRoot.hidden = false;
  modelRoot.replaceChildren();
  modelRoot.dataset.address = address(m);
  const order = table ? table.order : report.models;
  const i = order.indexOf(m);
  const back = report.models.length > 1 && left.address;
  const heading = makeModel(modelRoot, m, back, order[i - 1], i < 0 ? null : order[i + 1]);
  document.title = `${m.input} \u00b7 bnfuse report`;
  scrollTo(0, 0);
  heading.focus({ preventScroll: true });
}

function showZoo(p) {
  const from = modelRoot.hidden ? null : modelRoot.dataset.address;
  modelRoot.hidden = true;
  modelRoot.replaceChildren();
  zooRoot.hidden = false;
  document.title = title;
  if (!table || ![left.address, ""].includes(location.hash)) {
    read(p);
    zooRoot.replaceChildren();
    table = makeZoo(zooRoot, asked, keep);
  }
  keep();
  scrollTo(0, left.scrolled);
  if (from) zooRoot.querySelector(`a[href="${CSS.escape(from)}"]`)?.focus({ preventScroll: true });
}

// route shows what the address asks for: #model=NAME, with or without the folder of the zoo, or the table with
// #q=…&status=…&reason=…&sort=….
function route() {
  const p = new URLSearchParams(location.hash.slice(1));
  const only = report.models.length === 1 ? report.models[0] : null;
  const wanted = p.get("model");
  const m = report.models.find((m) => m.input === wanted) ?? report.models.find((m) => m.name === wanted) ?? only;
  if (m) showModel(m);
  else showZoo(p);
}

// The theme is the system's until the reader chooses.
const themes = { auto: "\u25d0 Auto", light: "\u2600 Light", dark: "\u263e Dark" };
const themeButton = document.getElementById("theme");

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  fill(themeButton, { "aria-label": `Colours: ${theme}` }, []).textContent = themes[theme];
}

themeButton.addEventListener("click", () => {
  const names = Object.keys(themes);
  setTheme(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length]);
});

setTheme("auto");
about();
addEventListener("hashchange", route);
route();
