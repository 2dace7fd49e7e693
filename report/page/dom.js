// dom.js: elements. Text goes into the page as text nodes and attributes only, never as HTML.

// fill gives an element its attributes and children. A function is a listener, true an attribute without a
// value; null, undefined and false are left out.
function fill(e, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") e.addEventListener(name.slice(2), value); // onclick: f
    else if (value === true) e.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) e.setAttribute(name, value);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

const svg = (name, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

// panel is a box with a heading.
const panel = (heading, ...content) => el("section", { class: "panel" }, el("h2", {}, heading), content);

// breakable lets a long name go on in the next line after a slash, rather than within a word.
const breakable = (name) => name.split(/(?<=\/)/).flatMap((part, i) => (i > 0 ? [el("wbr"), part] : [part]));

// debounced calls f when nothing more has happened for a moment, so that typing stays quick.
function debounced(f, milliseconds = 80) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(f, milliseconds);
  };
}
