
// --- the key ring as a timeline

let ring = null;
let loadedBy = ""; // which nodes say what of which key

function allowKeys() {
  whyNot("keys", "read");
  for (const id of ["rotate", "abort"]) {
    $(id).disabled = !may("keys");
    $(id).title = may("keys") ? "" : NEEDS_KEYS;
  }
}

const NEEDS_KEYS = "This needs a token with the scope keys";

async function loadKeys() {
  if (!may("read")) return;
  const answer = await ask("GET", "v1/keys");
  if (!answer.ok) return note($("keys-note"), "bad", "The keys cannot be read.", answer.problem);
  ring = answer.body;
  showKeys();
}

/** Nodes tell with each beat which keys they have: when that changes, all of it is read again. */
function keysOfNodes(nodes) {
  const said = JSON.stringify(nodes.map(({ id, keys }) => [id, ...Object.entries(keys ?? {}).map(([key, { ack }]) => [key, ack])]));
  if (loadedBy !== said) readKeys();
  loadedBy = said;
  showKeys();
}

const WORDS = {
  seals: "seals new cookies", opens: "opens, seals no more", staged: "on its way to the nodes",
  retired: "retired: its cookies are refused", destroyed: "destroyed", compromised: "leaked: refused for ever",
};
const words = ({ state, role }) => WORDS[state === "active" ? role : state];

function showKeys() {
  if (!ring) return;
  const sorted = ring.keys.toSorted((a, b) => begun(a) - begun(b) || (a.id < b.id ? -1 : 1));
  const gone = sorted.filter(({ state }) => state === "destroyed");
  const shown = sorted.filter((key) => key.state !== "destroyed" || gone.indexOf(key) >= gone.length - 2);
  const begin = Math.min(...shown.map(begun)), length = Math.max(Date.now() - begin, 1_000);
  rows($("key-rows"), shown, ({ id }) => id, keyRow, (row, key) => fillKey(row, key, begin, length), { ordered: true });
  say($("key-axis").firstChild, shown.length ? moment(begin) : "");
  const earlier = gone.length - 2 > 0 ? `${plural(gone.length - 2, "older key")}, destroyed, not shown.` : null;
  if (ring.refused.length) note($("keys-note"), "bad", "Some files of the key folder are not used.", ...ring.refused);
  else note($("keys-note"), "", shown.length ? earlier : "The key folder of this endpoint has no keys.");
  const open = sorted.filter(({ role }) => role !== "refused");
  const sealing = sorted.find(({ role }) => role === "seals");
  const staged = sorted.find(({ state }) => state === "staged");
  tile("keys", ring.refused.length || !sealing ? "warn" : staged ? "" : "good", staged ? "Rotating" : plural(open.length, "key"),
    staged ? `${staged.id} is on its way` : sealing ? `${sealing.id} seals${sealing.created ? `, ${age(sealing)} old` : ""}` : "none seals");
  showRotation();
}

/** One whose file is not here is as old as what the list says of it. */
const begun = ({ created, counts_from: from }) => Date.parse(created ?? from ?? new Date().toISOString());
const age = (key) => span(Math.max(1_000, Date.now() - begun(key)));

function fillKey(row, key, begin, length) {
  const [id, role, old] = row.querySelectorAll(".about > span");
  say(id, key.id);
  say(role, words(key));
  say(old, key.created ? `${age(key)} old` : "no file here");
  drawKey(row.querySelector("svg"), key, (time) => Math.min(99.5, Math.max(0, ((time - begin) / length) * 100)));
  const lacks = stillLacks(key);
  const missing = lacks.length ? [`missing: ${lacks.join(", ")}`] : [];
  const next = key.next && key.next.step !== "promote" ? [`${key.next.step}: ${key.next.waits?.replace(TIME, moment) ?? "its time has come"}`] : [];
  const evidence = row.querySelector(".evidence");
  shape(evidence, lacks.length && key.state !== "staged" ? "evidence warn" : "evidence");
  say(evidence, [...arriving(key), ...missing, ...next].join(" · "));
  const [step, leaked] = row.querySelectorAll("button");
  const due = key.next && key.next.waits === null && key.state !== "staged" ? key.next.step : null;
  step.hidden = !due;
  if (due) say(step, due === "retire" ? "Retire…" : "Destroy…");
  leaked.hidden = key.state === "compromised" || key.state === "destroyed";
  for (const button of [step, leaked]) {
    button.disabled = !may("keys");
    button.title = may("keys") ? "" : NEEDS_KEYS;
  }
}

const TIME = /\d{4}-\d{2}-\d{2}T[\d:]+Z/g;

/** A node that has said meanwhile that it has the key is missing no more: it says so before all is read again. */
function stillLacks(key) {
  const have = new Set([...known.values()].filter((node) => node.keys?.[key.id]?.ack === "loaded").map(({ name }) => name));
  return key.lacks.filter((said) => !have.has(said.split(" (")[0]));
}

/** Solid while it seals, lighter while it opens, faint when it is refused. */
function drawKey(svg, key, at) {
  const [start, turn, now] = [at(begun(key)), key.counts_from ? at(Date.parse(key.counts_from)) : null, 100];
  const bar = (from, to, kind) => drawn("rect", { x: from.toFixed(2), y: 0, width: Math.max(to - from, 0.4).toFixed(2), height: 10, class: kind });
  const until = Math.min(Math.max(turn ?? start, start), now);
  svg.replaceChildren(...{
    seals: () => [bar(start, now, "seals")],
    opens: () => [bar(start, until, "seals"), bar(until, now, "opens")],
    staged: () => [bar(start, now, "staged")],
    retired: () => [bar(start, until, "opens"), bar(until, now, "refused")],
    destroyed: () => [bar(start, now, "refused")],
    compromised: () => [bar(start, now, "compromised")],
  }[key.state === "active" ? key.role : key.state]());
}

/** Which nodes have it, and which cookies under it still come, as far as the nodes have said by now. */
function arriving(key) {
  if (key.role === "refused") return [];
  const reports = [...known.values()].filter(({ state }) => state !== "lapsed").map((node) => node.keys?.[key.id]);
  const today = Math.floor(Date.now() / 86_400_000);
  const opened = reports.reduce((sum, report) => sum + (report?.day === today ? report.opened : 0), 0);
  const seen = Math.max(0, ...reports.map((report) => report?.last_seen ?? 0)) * 1_000;
  const has = `on ${reports.filter((report) => report?.ack === "loaded").length} of ${plural(reports.length, "node")}`;
  if (key.state === "staged") return [has];
  return [has, seen ? `${plural(opened, "cookie")} opened today, the last ${ago(Math.max(0, Date.now() - seen))}` : "no cookie under it has come yet"];
}

function keyRow(key) {
  const about = element("div", { className: "about" }, element("span", { className: "id mono" }), element("span", { className: "small" }), element("span", { className: "small soft" }));
  const bar = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  const next = () => ring.keys.find(({ id }) => id === key.id)?.next?.step;
  return element("li", {}, about, bar, element("div", { className: "under" }, element("span", { className: "evidence" }),
    element("button", { className: "small-button", hidden: true, onclick: () => beginStep(next(), key.id) }),
    element("button", { className: "quiet leaked", onclick: () => beginStep("compromise", key.id) }, "It has leaked…")));
}
