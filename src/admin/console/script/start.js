
// --- beginning and end

async function enter(event) {
  event.preventDefault();
  const typed = $("token").value.trim();
  $("token").value = "";
  if (!typed || token) return;
  token = typed;
  const answer = await ask("GET", "v1/token");
  if (!answer.ok) {
    token = "";
    away = null;
    if (answer.status !== 401) note($("enter-note"), "bad", answer.problem);
    else note($("enter-note"), "bad", "This token is not known here.", answer.problem);
    return showLink();
  }
  scopes = answer.body.scopes;
  note($("enter-note"), "");
  $("gate").hidden = true;
  $("desk").hidden = false;
  $("forget").hidden = $("help").hidden = false;
  $("forget").title = `${answer.body.name || "token"} ${answer.body.id}: ${scopes.join(", ")}`;
  for (const allow of [allowLogout, allowWhy, allowNodes, allowKeys, allowStore, allowFigures, allowAudit]) allow();
  for (const id of ["nodes", "store", "keys"]) if (!may("read")) tile(id, "", "–", "needs the scope read");
  tries = 0;
  showLink();
  if (may("read")) listen();
  else knock();
  // Not under a finger: there it would bring up the keyboard.
  if (may("revoke") && !matchMedia("(pointer: coarse)").matches) $("target").focus();
}

/** Drops the token, and with it everything that it has brought: as a reload does. */
function forget(why) {
  token = "";
  scopes = [];
  stream?.abort();
  stream = null;
  known = new Map();
  [operations, followed, plan, explained, ring, storeSaid, away, storeAway, app] = [[], null, null, null, null, null, null, null, ""];
  track.length = 0;
  names.clear();
  [step, turning, settled, underway, refusal, loadedBy] = [null, null, null, null, null, ""];
  note($("rotation-note"), "");
  plots.clear();
  for (const id of ["progress-nodes", "progress-bar", "earlier-rows", "node-rows", "key-rows", "store-facts", "plots", "audit-rows", "why-answer"]) $(id).replaceChildren();
  for (const id of ["target", "reason", "cookie", "token"]) $(id).value = "";
  shape($("progress-mark"), "mark");
  say($("progress-after"), "");
  say($("progress-words"), "Nothing was revoked here yet");
  say($("progress-about"), "What is revoked through this endpoint is followed here until every node refuses it.");
  say($("app"), "");
  for (const id of ["nodes", "store", "keys", "progress"]) tile(id, "", "–", "");
  for (const id of ["why-next", "earlier", "desk", "forget", "help"]) $(id).hidden = true;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  $("gate").hidden = false;
  note($("enter-note"), why ? "warn" : "", why);
  showLink();
  $("token").focus();
}

function jump(event) {
  const typing = event.target.closest("input:not([type=radio], [type=checkbox]), textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || $("desk").hidden) return;
  if (event.key === "?") return help();
  const to = { l: "target", w: "cookie", n: "nodes", k: "keys", s: "store", a: "audit-rows" }[event.key];
  if (!to || !$("letters").checked) return;
  event.preventDefault();
  const field = $(to).closest("section");
  field.scrollIntoView({ block: "start" });
  $(to).focus({ preventScroll: true });
}

function help() {
  $("shortcuts").showModal();
}

$("enter").onsubmit = enter;
$("forget").onclick = () => forget("");
$("logout-form").onsubmit = dryRun;
$("do-it").onclick = logOut;
for (const radio of document.querySelectorAll("input[name=scope]")) radio.onchange = scopeChosen;
$("target").oninput = () => (scope() === "all" ? ready() : planIsOff());
$("reason").oninput = planIsOff;
$("why-form").onsubmit = askWhy;
$("why-logout").onclick = whyLogout;
$("cookie").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("why-form").requestSubmit();
};
for (const end of ["mouseleave", "blur"]) $("audit-rows").addEventListener(end, () => waiting && showAudit(waiting));
$("help").onclick = help;
$("close-shortcuts").onclick = () => $("shortcuts").close();
$("keep-node").onclick = () => $("forget-node").close();
$("do-forget").onclick = forgetNode;
$("rotate").onclick = () => beginStep("rotate");
$("abort").onclick = () => beginStep("abort", ring?.keys.find(({ state }) => state === "staged")?.id);
$("key-step-form").onsubmit = doStep;
$("key-confirm").oninput = stepReady;
$("key-step-close").onclick = () => $("key-step").close();
document.onkeydown = jump;
// A page that is kept for the back button keeps no token.
addEventListener("pagehide", () => token && forget(""));
setInterval(() => say($("clock"), `${clock(Date.now())} UTC`), 1_000);
scopeChosen();
$("token").focus();
