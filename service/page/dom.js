// How the page is written. What has not changed is not touched, so that a selection, or the
// place where a screen reader reads, survives.

const written = new WeakMap();

export const part = (id) => document.getElementById(id);

/** An element with these children, texts or nodes, and attributes. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Nothing; the element has this text, a detail below it, and a tone. */
export function write(element, main, detail = "", tone = "") {
  if (isWritten(element, [main, detail, tone])) return;
  const text = make("span", { class: tone }, main);
  if (detail) text.append(make("small", {}, detail));
  element.replaceChildren(text);
}

/** Whether the element shows these values already; it counts as showing them from now on. */
export function isWritten(element, values) {
  const now = JSON.stringify(values);
  if (written.get(element) === now) return true;
  written.set(element, now);
  return false;
}

/** Nothing; the list or table body has so many children, made by `maker`. */
export function resize(element, count, maker) {
  while (element.children.length < count) element.append(maker());
  while (element.children.length > count) element.lastElementChild.remove();
}

/** Nothing; the table has these rows, each with a tone and cells as `write` takes them.
 *
 * Roles are spelled: on a narrow screen the rows are no table to CSS. */
export function table(id, rows) {
  const element = part(id);
  const heads = [...element.tHead.rows[0].cells].map((head) => head.textContent);
  const [body] = element.tBodies;
  resize(body, rows.length, () => emptyRow(heads));
  rows.forEach((row, at) => {
    body.rows[at].dataset.tone = row.tone ?? "";
    row.cells.forEach((cell, column) => write(body.rows[at].cells[column], ...cell));
  });
}

function emptyRow(heads) {
  const row = make("tr", { role: "row" });
  heads.forEach((label, at) => {
    const role = at ? "cell" : "rowheader";
    row.append(make(at ? "td" : "th", { role, scope: at ? undefined : "row", "data-label": label }));
  });
  return row;
}
