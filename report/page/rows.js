// rows.js: a table that sorts by any column and makes its rows as the reader comes to them, so that
// thousands cost nothing until they are seen.

const rowsAtOnce = 100;
const collator = new Intl.Collator("en", { numeric: true });

// A column is {name, label, title, number, descending, value(item), cell(item)}: value is what is compared,
// cell what is shown. A column without value cannot be sorted by; descending ones begin with their large
// values, which are the interesting ones. Numbers stand at the right. The roles are said because on a phone
// the style makes lists of tables.
const className = (c) => (c.number ? `${c.name} number` : c.name);

function headerCell(c, sortBy) {
  const arrow = el("span", { class: "arrow", "aria-hidden": "true" });
  const label = c.value
    ? el("button", { type: "button", title: c.title, onclick: () => sortBy(c) }, c.label, arrow)
    : el("span", { title: c.title }, c.label);
  return el("th", { role: "columnheader", scope: "col", class: className(c) }, label);
}

function bodyRow(columns, item) {
  const [first, ...others] = columns;
  return el("tr", { role: "row", class: "opens" },
    el("th", { role: "rowheader", scope: "row", class: className(first) }, first.cell(item)),
    others.map((c) => el("td", { role: "cell", class: className(c) }, c.cell(item))));
}

// sortedTable makes the table. sort is {name, descending} and follows the reader, of which changed tells; open
// is called with an item and its row where the reader clicks on a row.
function sortedTable({ caption, columns, sort, open, changed }) {
  let items = [];
  let shown = 0;
  const header = columns.map((c) => headerCell(c, sortBy));
  const body = el("tbody", { role: "rowgroup" });
  const end = el("div", { class: "end", "aria-hidden": "true" });
  const table = el("table", { role: "table" },
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, header)), body);

  function sortBy(c) {
    sort.descending = sort.name === c.name ? !sort.descending : Boolean(c.descending);
    sort.name = c.name;
    arrange();
    changed();
  }

  function arrange() {
    const by = columns.find((c) => c.name === sort.name && c.value) ?? columns[0];
    columns.forEach((c, i) => {
      if (c === by) header[i].setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
      else header[i].removeAttribute("aria-sort");
    });
    const sign = sort.descending ? -1 : 1;
    const keyed = items.map((item) => [by.value(item), item]);
    keyed.sort(([a], [b]) => sign * (typeof a === "number" ? a - b : collator.compare(a, b)));
    items = keyed.map(([, item]) => item);
    body.replaceChildren();
    shown = 0;
    more();
  }

  function more() {
    for (const item of items.slice(shown, shown + rowsAtOnce)) {
      const tr = bodyRow(columns, item);
      tr.addEventListener("click", (e) => {
        if (!e.target.closest("a, button") && !getSelection().toString()) open(item, tr);
      });
      body.append(tr);
      shown++;
    }
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
    element: el("div", {}, table, end),
    show(list) {
      items = [...list];
      arrange();
    },
    get order() {
      return items;
    },
  };
}
