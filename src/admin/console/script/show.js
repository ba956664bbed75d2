// --- showing: text becomes text, and only what differs is touched, so nothing flickers and nothing is read out twice

const $ = (id) => document.getElementById(id);

function say(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

function shape(node, className) {
  if (node.className !== className) node.className = className;
}

function element(tag, options = {}, ...children) {
  const made = Object.assign(document.createElement(tag), options);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Text in which `commands` stand out. */
const worded = (text) => text.split("`").map((part, n) => (n % 2 ? element("code", {}, part) : part));

/** A box with a line or more; none empties it. The first line is the one that counts. */
function note(node, tone, ...lines) {
  shape(node, node.className.replace(/ ?(good|warn|bad)\b/g, "") + (tone ? ` ${tone}` : ""));
  const said = lines.filter(Boolean);
  if (node.dataset.said === said.join("\n")) return;
  node.dataset.said = said.join("\n");
  node.replaceChildren(...said.map((line, n) => element(n === 0 && said.length > 1 ? "strong" : "span", {}, ...worded(line))));
}

/**
 * A row for each item. A row stays where it is and new ones come last, unless the items are `ordered`; `drop` takes
 * out what is gone.
 */
function rows(list, items, key, make, update, { ordered = false, drop = (row) => row.remove() } = {}) {
  const known = new Map([...list.children].map((row) => [row.dataset.key, row]));
  let place = 0;
  for (const item of items) {
    const id = String(key(item));
    let row = known.get(id);
    known.delete(id);
    if (!row) {
      row = make(item);
      row.dataset.key = id;
      list.append(row);
    }
    update(row, item);
    if (ordered && list.children[place] !== row) list.insertBefore(row, list.children[place]);
    place += 1;
  }
  for (const row of known.values()) drop(row);
}

/** The usual row: what state, who, a value at the right, and more below. */
function stateRow() {
  const part = (name) => element("span", { className: name });
  return element("li", {}, element("span", { className: "mark", ariaHidden: "true" }), part("who"), part("value"), part("more"));
}

function fillRow(row, { tone, who, value, more }) {
  shape(row, tone);
  say(row.querySelector(".who"), who);
  say(row.querySelector(".value"), value);
  say(row.querySelector(".more"), more);
}

function tile(id, tone, said, more) {
  const node = $(`tile-${id}`);
  shape(node, `tile ${tone}`);
  say(node.querySelector("strong"), said);
  say(node.querySelector(".more"), more);
}

/** Names and what is said of them. */
function facts(list, pairs) {
  rows(list, pairs.filter(([, said]) => said !== null && said !== undefined), ([name]) => name,
    ([name]) => element("div", {}, element("dt", {}, name), element("dd")),
    (row, [, said]) => say(row.lastChild, said));
}

const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** A size, in the unit that matters; in powers of 1,024, as servers count memory. */
function bytes(n) {
  if (n < 1_024) return plural(n, "byte");
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let size = n / 1_024;
  while (size >= 1_023.5 && units.length > 1) {
    size /= 1_024;
    units.shift();
  }
  return `${size < 9.95 ? size.toFixed(1) : Math.round(size)} ${units[0]}`;
}

/** A span in milliseconds, in the two units that matter. */
function span(ms) {
  if (ms < 1) return "under 1 ms";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1).replace(".0", "")} s`;
  const units = [["day", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  let left = Math.round(ms / 1_000);
  const words = [];
  for (const [name, size] of units) {
    const n = Math.floor(left / size);
    left %= size;
    if (n > 0) words.push(name === "day" ? plural(n, "day") : `${n} ${name}`);
    if (words.length === 2 || (words.length === 1 && n === 0)) break;
  }
  return words.join(" ");
}

const ago = (ms) => (ms < 1_000 ? "just now" : `${span(Math.floor(ms / 1_000) * 1_000)} ago`);

/** The time of day, in UTC as everywhere here. */
const clock = (time) => new Date(time).toISOString().slice(11, 19);

/** The same, with the day unless it is today. */
function moment(time) {
  const text = new Date(time).toISOString();
  return text.slice(0, 10) === new Date().toISOString().slice(0, 10) ? text.slice(11, 19) : `${text.slice(0, 10)} ${text.slice(11, 16)}`;
}
