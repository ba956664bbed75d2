
// --- nodes: who serves sessions by this list, and how current each is

let known = new Map();
let leaving = null; // the node that the dialog is about

function allowNodes() {
  whyNot("nodes", "read");
}

async function loadNodes() {
  const answer = await ask("GET", "v1/nodes");
  if (answer.ok) showNodes(answer.body);
}

function showNodes({ nodes, healed }) {
  known = new Map(nodes.map((node) => [node.id, node]));
  const sorted = nodes.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1));
  rows($("node-rows"), sorted, ({ id }) => id, nodeRow, fillNode, { drop: gone });
  $("no-nodes").hidden = nodes.length > 0 || $("node-rows").children.length > 0;
  const alive = nodes.filter(({ state }) => state !== "lapsed");
  const silent = Math.max(0, ...alive.map(({ silent_ms: ms }) => ms));
  const late = sorted.filter(isLate);
  if (late.length) tile("nodes", "warn", `${late.length} of ${nodes.length} silent`, late.slice(0, 2).map(({ name }) => name).join(", ") + (late.length > 2 ? " and others" : ""));
  else if (nodes.length) tile("nodes", "good", `${nodes.length} of ${nodes.length} follow`, `heard within ${span(Math.ceil((silent + 1) / 1_000) * 1_000)}`);
  else tile("nodes", "", "None", "nobody serves by the list");
  if (storeSaid && storeSaid.healed !== healed) readStore();
  if (operations.length) showProgress();
  drawNodes(nodes, silent);
  keysOfNodes(nodes);
}

const isLate = (node) => node.late || node.state === "lapsed";

function nodeRow(node) {
  const row = stateRow();
  row.append(element("button", { className: "small-button forget", hidden: true, onclick: () => askToForget(node) }, "Forget…"));
  return row;
}

function fillNode(row, node) {
  const lapsed = node.state === "lapsed";
  const keys = Object.entries(node.keys ?? {});
  const refused = keys.filter(([, said]) => said.ack !== "loaded");
  const more = [
    lapsed ? "lapsed: trusts its copy no more" : node.lapses_in_ms === null ? "never lapses" : `lapses in ${span(node.lapses_in_ms)} unless heard`,
    keys.length ? `${keys.length - refused.length} of ${plural(keys.length, "key")}` : null,
    node.version && `version ${node.version}`,
    ...refused.map(([id, said]) => `key ${id}: ${Object.values(said.ack)[0]}`),
  ];
  const late = isLate(node);
  fillRow(row, { tone: late ? "warn" : "good", who: node.name, value: late ? `silent for ${span(node.silent_ms)}` : `heard ${ago(node.silent_ms)}`, more: more.filter(Boolean).join(" · ") });
  const button = row.querySelector(".forget");
  button.hidden = !late;
  button.disabled = !may("keys");
  button.title = may("keys") ? "" : "This needs a token with the scope keys";
}

/** A row does not vanish under the finger: who has left stays a while, in grey. */
function gone(row) {
  if (row.classList.contains("gone")) {
    const list = row.parentElement;
    if (Date.now() - row.dataset.left > 60_000 && !list.matches(":hover, :focus-within")) row.remove();
    return;
  }
  row.dataset.left = Date.now();
  row.querySelector(".forget").hidden = true;
  fillRow(row, { tone: "gone", who: row.querySelector(".who").textContent, value: `left ${clock(Date.now())}`, more: "" });
}

function askToForget(node) {
  leaving = node;
  say($("forget-name"), node.name);
  note($("forget-note"), "");
  $("forget-node").showModal();
}

async function forgetNode() {
  const answer = await ask("POST", `v1/nodes/${leaving.id}:forget`, undefined, { "idempotency-key": once() });
  if (!answer.ok) return note($("forget-note"), "bad", "It was not forgotten.", answer.problem);
  $("forget-node").close();
  loadNodes();
  readAudit();
}
