// finder.js: a table with what narrows it down: a field to search in, a row of choices, and reasons.

// finder makes it for {all, noun, search(item), reasonsOf(item)}: the text that is searched, and the reasons
// to filter by. choices are [value, label, test(item)]. asked is {query, choice, reason, sort}, what the reader
// wants, and changed tells that it is another. columns, caption and open are the table's.
function finder({ all, noun, search, reasonsOf, placeholder, choices, asked, changed, ...table }) {
  const rows = sortedTable({ ...table, sort: asked.sort, changed });
  const texts = new Map(all.map((item) => [item, search(item).toLowerCase()]));
  const tests = new Map(choices.map(([value, , test]) => [value, test]));
  const shown = el("p", { class: "shown", role: "status" });
  const field = el("input", { type: "search", "aria-label": `Find ${noun}s`, placeholder, value: asked.query,
    autocomplete: "off", spellcheck: "false", oninput: debounced(() => ask({ query: field.value })) });

  function ask(change) {
    Object.assign(asked, change);
    refresh();
    changed();
  }

  function refresh() {
    const words = asked.query.toLowerCase().split(/\s+/);
    const found = all.filter((item) => tests.get(asked.choice)(item) &&
      words.every((w) => texts.get(item).includes(w)) &&
      (asked.reason === "" || reasonsOf(item).includes(asked.reason)));
    shown.textContent = (found.length < all.length ? `${count(found.length)} of ` : "") + plural(all.length, noun);
    rows.show(found);
  }

  const counted = choices.map(([value, label, test]) => [value, label, all.filter(test).length]);
  refresh();
  return {
    ask,
    element: el("section", { class: "panel found" },
      el("div", { class: "filters" }, field, pressOne(counted, asked.choice, (choice) => ask({ choice })), shown),
      rows.element),
    get order() {
      return rows.order;
    },
  };
}

// pressOne is a row of buttons of which one is pressed: [value, label, count].
function pressOne(options, pressed, press) {
  const buttons = options.map(([value, label, n]) =>
    el("button", { type: "button", "aria-pressed": String(value === pressed), onclick(e) {
      for (const b of buttons) b.setAttribute("aria-pressed", String(b === e.currentTarget));
      press(value);
    } }, label, el("span", { class: "n" }, count(n))));
  return el("div", { class: "choices", role: "group", "aria-label": "Show" }, buttons);
}

// warningPanel lists warnings. Without any there is no panel.
const warningPanel = (list) => list.length > 0 &&
  panel(plural(list.length, "warning"), el("ul", { class: "warned" }, list.map((w) => el("li", {}, w))));

// reasonPanel lists why norms stay, [{reason, norms}], the most frequent first. Pressing a reason filters by it,
// pressing it again ends that. Without reasons there is no panel.
function reasonPanel(list, pressed, press) {
  if (list.length === 0) return null;
  const sorted = [...list].sort((a, b) => b.norms - a.norms);
  const buttons = sorted.map(({ reason, norms }) => {
    const length = el("span", { class: "length" });
    length.style.width = `${(100 * norms) / sorted[0].norms}%`;
    return el("button", { type: "button", "aria-pressed": String(reason === pressed), onclick(e) {
      const on = e.currentTarget.getAttribute("aria-pressed") !== "true";
      for (const b of buttons) b.setAttribute("aria-pressed", "false");
      e.currentTarget.setAttribute("aria-pressed", String(on));
      press(on ? reason : "");
    } }, el("span", { class: "text" }, reason), el("span", { class: "n" }, count(norms)), length);
  });
  return panel("Why norms stay", el("ul", { class: "reasons" }, buttons.map((b) => el("li", {}, b))));
}
