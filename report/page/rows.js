// rows.js: a table that sorts by any column and makes its rows as the reader comes to them, so that
// thousands cost nothing until they are seen.

const rowsAtOnce = 100;
const collator = new Intl.Collator("en", { numeric: true });

// A column is {label, title, name, value(item), cell(item), descending}: value is what is compared, cell
// what is shown. descending columns are sorted so first: their large values are the interesting ones.
//
// row(tr, item) finishes a row. changed() is called when the reader sorts.
function sortedTable({ caption, columns, sort, row, changed }) {
  let items = [];
  let shown = 0;
  const head = el("tr", { role: "row" });
  const body = el("tbody", { role: "rowgroup" });
  const end = el("div", { class: "end", "aria-hidden": "true" });
  const table = el("table", { role: "table" },
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, head), body);

  for (const c of columns) {
    const button = el("button", { type: "button", title: c.title, onclick: () => sortBy(c) }, c.label, el("span", { class: "arrow", "aria-hidden": "true" }));
    c.th = el("th", { role: "columnheader", scope: "col", class: c.name }, c.value ? button : el("span", { title: c.title }, c.label));
    head.append(c.th);
  }

  function sortBy(c) {
    sort.descending = sort.name === c.name ? !sort.descending : Boolean(c.descending);
    sort.name = c.name;
    arrange();
    changed?.();
  }

  function arrange() {
    const c = columns.find((c) => c.name === sort.name && c.value) ?? columns[0];
    for (const other of columns) {
      if (other === c) other.th.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
      else other.th.removeAttribute("aria-sort");
    }
    const sign = sort.descending ? -1 : 1;
    const keyed = items.map((item) => [c.value(item), item]);
    keyed.sort(([a], [b]) => sign * (typeof a === "number" ? a - b : collator.compare(a, b)));
    items = keyed.map(([, item]) => item);
    body.replaceChildren();
    shown = 0;
    more();
  }

  function more() {
    const next = items.slice(shown, shown + rowsAtOnce);
    shown += next.length;
    body.append(...next.map((item) => {
      const tr = el("tr", { role: "row" }, columns.map((c, i) =>
        el(i === 0 ? "th" : "td", { role: i === 0 ? "rowheader" : "cell", scope: i === 0 ? "row" : null, class: c.name }, c.cell(item))));
      row?.(tr, item);
      return tr;
    }));
    end.hidden = shown >= items.length;
  }

  // While the end of the rows is near the screen there are more to be made. An observer tells of changes
  // only, so that it is asked anew after every batch.
  const watch = new IntersectionObserver((entries) => {
    if (!entries.some((e) => e.isIntersecting) || shown >= items.length) return;
    more();
    watch.unobserve(end);
    watch.observe(end);
  }, { rootMargin: "800px" });
  watch.observe(end);

  return {
    element: el("div", { class: "rows" }, table, end),
    show(list) {
      items = [...list];
      arrange();
    },
    get order() {
      return items;
    },
  };
}

// choices is a row of buttons of which one is pressed: [[value, label, count]].
function choices(label, options, chosen, choose) {
  const buttons = options.map(([value, text, n]) =>
    el("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => press(value) }, text, n === undefined ? null : el("span", { class: "n" }, count(n))));
  function press(value) {
    options.forEach(([v], i) => buttons[i].setAttribute("aria-pressed", String(v === value)));
    choose(value);
  }
  return el("div", { class: "choices", role: "group", "aria-label": label }, buttons);
}
