
// --- steps of a key: each begins with what it would do, and needs a reason

const STEPS = {
  rotate: () => ["Rotate the key?", "A new key is made and brought to every node. When each has it, new cookies are sealed under it; older ones stay good. Nobody is logged out.", "Start"],
  retire: (id) => [`Take ${id} out of service?`, "Cookies under it are refused from then on. Its time has come: none that is still good can be left.", "Retire it"],
  destroy: (id) => [`Destroy ${id}?`, "Its bytes are erased everywhere. Its id stays, so that it is never used again. There is no way back.", "Destroy it"],
  abort: (id) => [`Take ${id} back?`, "It is on its way to the nodes, and seals nothing yet. Nobody is logged out.", "Take it back"],
  compromise: (id) => [`${id} has leaked?`, "It is denied on every node at once, another key seals in its place, and everybody is logged out: whoever has the key may have made cookies of their own. There is no way back.", "Deny it, log everybody out"],
};

let step = null; // what the dialog is about
let turning = null; // the key that this page brings to its promotion
let settled = null; // the last one whose way this page has ended: an answer from before may still say that it is on it
let underway = null; // the one that the note is about
let tried = 0;

const stepPath = ({ name, id }) => (name === "rotate" ? "v1/rotations" : `v1/keys/${id}:${name}`);

async function beginStep(name, id = null) {
  const [title, about, verb] = STEPS[name](id);
  step = { name, id, key: once(), open: false };
  const mine = step;
  say($("h-key-step"), title);
  say($("key-step-about"), about);
  say($("key-step-do"), verb);
  shape($("key-step-do"), name === "rotate" ? "plain-main" : "danger");
  $("key-confirm-field").hidden = name !== "compromise";
  for (const field of ["key-confirm", "key-reason"]) $(field).value = "";
  note($("key-step-note"), "", "Asking what it would do…");
  stepReady();
  $("key-step").showModal();
  const answer = await ask("POST", stepPath(step), { dry_run: true });
  if (step !== mine) return;
  if (answer.ok) note($("key-step-note"), "", ...stepInWords(answer.body));
  else note($("key-step-note"), "warn", "Not now.", answer.problem);
  step.open = answer.ok;
  stepReady();
}

function stepInWords({ key, found, changes, warning }) {
  if (changes) return [...each(changes, "would be"), warning];
  return [found ? `${key} is on its way already, and goes on.` : "Nothing stands in the way."];
}

const each = (changes, verb) => changes.length ? changes.map(({ key, state }) => `${key} ${verb} ${state}.`) : ["It was done before: nothing is left to do."];

function stepReady() {
  const confirmed = step?.name !== "compromise" || $("key-confirm").value.trim() === step.id;
  $("key-step-do").disabled = !step?.open || !confirmed;
}

async function doStep(event) {
  event.preventDefault();
  if ($("key-step-do").disabled) return;
  const { name, id, key } = step;
  step.open = false;
  stepReady();
  const answer = await ask("POST", stepPath(step), { reason: $("key-reason").value.trim() }, { "idempotency-key": key });
  step.open = true;
  stepReady();
  if (!answer.ok) return note($("key-step-note"), "bad", answer.status === 0 || answer.status >= 500 ? "It is not known whether it was done." : "Nothing was changed.", answer.problem);
  $("key-step").close();
  if (name === "rotate") [turning, tried, refusal] = [answer.body.key, 0, null];
  if (name === "abort") [turning, settled, underway] = [null, id, null];
  if (name !== "rotate") note($("rotation-note"), "good", ...each(answer.body.changes, "is"), answer.body.warning);
  if (answer.body.operation) follow(answer.body.operation);
  readKeys();
  readAudit();
}

/** The key that is on its way, and who has yet to get it. This page promotes the one that it has begun. */
function showRotation() {
  const staged = ring?.keys.find(({ state }) => state === "staged");
  $("abort").hidden = !staged;
  say($("rotate"), staged && turning !== staged.id ? "Go on…" : "Rotate…");
  $("rotate").disabled = !may("keys") || (staged && turning === staged.id);
  if (!staged || staged.id === settled) return endRotation();
  underway = staged.id;
  const nodes = [...known.values()].filter(({ state }) => state !== "lapsed");
  const has = nodes.filter((node) => node.keys?.[staged.id]?.ack === "loaded");
  const missing = nodes.filter((node) => !has.includes(node)).map(({ name, keys }) => {
    const ack = keys?.[staged.id]?.ack;
    return ack ? `${name} refuses it: ${Object.values(ack)[0]}` : name;
  });
  const stuck = turning !== staged.id || missing.some((said) => said.includes(" refuses it: "));
  note($("rotation-note"), stuck ? "warn" : "", `${staged.id} is on its way: ${has.length} of ${plural(nodes.length, "node")} ${has.length === 1 ? "has" : "have"} it.`,
    missing.length ? `Missing: ${missing.join(", ")}.` : null, refusal, turning === staged.id ? null : "Nobody brings it to its promotion just now: go on, or take it back.");
  if (turning === staged.id && missing.length === 0) promote(staged.id);
}

/** Somebody else may have ended it. */
function endRotation() {
  const key = ring?.keys.find(({ id }) => id === underway);
  if (key && key.state !== "staged") note($("rotation-note"), "", `${key.id}: ${words(key)}.`);
  if (turning === underway) turning = null;
  underway = null;
}

let refusal = null; // why the gate was shut when it was tried last

async function promote(id) {
  if (Date.now() - tried < 2_000) return;
  tried = Date.now();
  const answer = await ask("POST", `v1/keys/${id}:promote`, {}, { "idempotency-key": once() });
  if (turning !== id) return;
  refusal = answer.ok ? null : answer.problem;
  if (answer.ok) {
    [turning, settled, underway] = [null, id, null];
    note($("rotation-note"), "good", `${id} seals new cookies from now on.`, "Older cookies stay good, and are sealed anew when they come.", answer.body.warning);
    if (answer.body.operation) follow(answer.body.operation);
    readAudit();
  } else if (answer.status === 409 && !answer.body.may_pass) {
    turning = null;
    refusal = `It was not promoted: ${answer.problem}`;
  }
  readKeys();
}
