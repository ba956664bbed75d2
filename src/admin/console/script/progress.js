
// --- how far a revocation has come: which nodes refuse it by now, which do not, and what to do about those

let operations = []; // the newest first
let followed = null; // the one that is shown large

async function loadOperations() {
  const answer = await ask("GET", "v1/operations?limit=30");
  if (!answer.ok) return;
  operations = answer.body.operations;
  followed ??= operations[0]?.id ?? null;
  showProgress();
}

/** Shows this one from now on. Events tell how it goes on; whoever may not hear them asks. */
function follow(operation) {
  followed = operation.id;
  $("progress-nodes").replaceChildren();
  showOperation(operation);
  readAudit();
  if (!may("read")) poll(operation.id);
}

async function poll(id) {
  for (let n = 0; n < 180 && token; n++) {
    await new Promise((done) => setTimeout(done, 1_000));
    const answer = await ask("GET", `v1/operations/${id}`);
    if (answer.ok) showOperation(answer.body);
    if (answer.status === 404 || isOver(answer.body)) return;
  }
}

const isOver = ({ state, compromise }) => state === "in_force" && compromise?.complete !== false;

function showOperation(operation) {
  const at = operations.findIndex((known) => known.id === operation.id);
  if (at >= 0) operations[at] = operation;
  else operations.push(operation);
  operations.sort((a, b) => b.position - a.position).splice(30);
  // Somebody else's is shown large as well, unless one of ours is still on its way.
  const shown = operations.find(({ id }) => id === followed);
  if (at < 0 && operations[0] === operation && (!shown || isOver(shown))) {
    followed = operation.id;
    $("progress-nodes").replaceChildren();
  }
  showProgress();
}

const counted = ({ confirmed, total }) => `${confirmed} of ${plural(total, "node")}`;

function stand({ state, nodes, compromise }) {
  if (!nodes) return ["warn", "Written down"];
  if (state === "in_force" && compromise?.waits) return ["warn", `In force on ${counted(nodes)}, and could be undone: ${compromise.waits}`];
  if (state === "in_force") return ["good", nodes.total ? `In force on ${counted(nodes)}` : "In force: no node follows the list"];
  if (!nodes.store_whole) return ["warn", `${nodes.confirmed} of ${nodes.total}: the store is being filled again`];
  return ["warn", `In force on ${counted(nodes)}`];
}

/** What was typed here for a keyed hash: names are nowhere else, so this page alone can say them, until it is left. */
const names = new Map();

function whose({ scope: of, target }) {
  if (of === "all") return "everybody";
  const name = names.get(target);
  return [of, name, name && target !== name ? `(${target})` : name ? "" : target].filter(Boolean).join(" ");
}

function showProgress() {
  const operation = operations.find(({ id }) => id === followed) ?? operations[0];
  if (!operation) return tile("progress", "", "None yet", "through this endpoint");
  const { nodes, in_force_after_ms: after } = operation;
  const [tone, words] = stand(operation);
  shape($("progress-mark"), `mark ${tone}`);
  say($("progress-words"), words);
  say($("progress-after"), after !== null ? `after ${span(after)}` : operation.state === "incomplete" ? "for more than 90 s" : "");
  tile("progress", tone, isOver(operation) ? "In force" : words.replace("In force on ", ""), `${isOver(operation) && nodes ? `${counted(nodes)} · ` : ""}${moment(operation.requested_at)}`);
  const parts = [
    whose(operation),
    moment(operation.requested_at),
    operation.actor,
    operation.reason && `“${operation.reason}”`,
  ];
  say($("progress-about"), parts.filter(Boolean).join(" · "));
  showWho(operation);
  const earlier = operations.filter((other) => other !== operation).slice(0, 4);
  $("earlier").hidden = earlier.length === 0;
  rows($("earlier-rows"), earlier, ({ id }) => id, stateRow, (row, other) => {
    const [itsTone, itsWords] = stand(other);
    fillRow(row, { tone: itsTone, who: whose(other), value: moment(other.requested_at), more: `${itsWords}${other.in_force_after_ms === null ? "" : ` after ${span(other.in_force_after_ms)}`}` });
  }, { ordered: true });
  drawPropagation(operations);
}

/** Each node, those that are missing first; from then on each stays where it is. */
function showWho({ nodes }) {
  const all = nodes ? [...nodes.outstanding.map((node) => ({ ...node, missing: true })), ...nodes.done] : [];
  rows($("progress-nodes"), all, ({ id }) => id, stateRow, (row, node) => fillRow(row, {
    tone: node.missing ? "warn" : node.lapsed ? "" : "good",
    who: node.name,
    value: node.missing ? "not yet" : node.after_ms === null ? "yes" : span(node.after_ms),
    more: node.missing ? whatToDo(node.id) : node.lapsed ? "It has lapsed: it does not trust its copy of the list any more, so nobody waits for it." : "",
  }));
  const bar = $("progress-bar");
  const tones = all.length <= 80 ? all.map((node) => (node.missing ? "warn" : "good")).sort() : [];
  rows(bar, tones.map((tone, n) => ({ tone, n })), ({ n }) => n, () => element("span"), (row, { tone }) => shape(row, tone));
}

function whatToDo(id) {
  const node = known.get(id);
  if (!node) return "It is registered, and has not confirmed yet.";
  if (!isLate(node)) return `Heard ${ago(node.silent_ms)}. If it is alive, it takes it with its next beat.`;
  const silent = `Silent for ${span(node.silent_ms)}.`;
  if (node.lapses_in_ms === null) return `${silent} A route of it trusts its copy for ever, so it never lapses. Restart it; if its process is gone for good, forget it below.`;
  return `${silent} Restart it if it hangs; if its process is gone for good, forget it below. In ${span(node.lapses_in_ms)} it stops trusting its copy, and counts.`;
}
