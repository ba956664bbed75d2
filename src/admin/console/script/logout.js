
// --- log somebody out: a dry run first, then the same request in earnest

const SCOPES = {
  subject: ["Subject", "A user: what the app passes to login(), usually the user's id."],
  tenant: ["Tenant", "All users of a tenant, as the app names it at login."],
  label: ["Label", "All sessions with a label that the app gave them at login."],
  session: ["Session handle", "One session, as the log and the answer below name it: 0123456789abcdef-2026-11-24."],
  all: ["To confirm, type the app's name", "Every session of the app. Everybody has to log in again."],
};

let plan = null; // what the dry run said, and the request that it was for
let sending = false; // in earnest, just now
let app = "";

const scope = () => document.querySelector("input[name=scope]:checked").value;

function request() {
  const wanted = { scope: scope(), reason: $("reason").value.trim() };
  if (wanted.scope !== "all") wanted.target = $("target").value.trim();
  return wanted;
}

function allowLogout() {
  const allowed = whyNot("logout", "revoke");
  $("logout-fields").disabled = !allowed;
  $("scope-all").disabled = !may("revoke.all");
  $("why-logout").disabled = !allowed;
  if (!may("revoke.all") && scope() === "all") document.querySelector("input[name=scope]").checked = true;
  scopeChosen();
}

function scopeChosen() {
  const [label, hint] = SCOPES[scope()];
  const lacking = allowedAll() ? "" : " Everybody needs the scope revoke.all, which this token lacks.";
  say($("target-label"), label);
  say($("scope-hint"), hint + lacking);
  $("target").value = "";
  $("target").required = scope() !== "all";
  $("target").placeholder = scope() === "all" ? app : "";
  planIsOff();
}

const allowedAll = () => !may("revoke") || may("revoke.all");

function planIsOff() {
  plan = null;
  ready();
  note($("logout-note"), "", "First a dry run: it says what would be written, and changes nothing.");
}

/** The second button works for exactly what the dry run was about. */
function ready() {
  const confirmed = plan && (plan.request.scope !== "all" || $("target").value.trim() === plan.said.app);
  $("do-it").disabled = sending || !confirmed;
  $("dry-run").classList.toggle("plain-main", !plan);
  $("do-it").title = plan ? (confirmed ? "" : "Type the app's name first") : "First the dry run";
}

async function dryRun(event) {
  event.preventDefault();
  const wanted = request();
  if (!may("revoke") || !wanted.reason || (wanted.scope !== "all" && !wanted.target)) return;
  plan = null;
  ready();
  const answer = await ask("POST", "v1/revocations", { ...wanted, dry_run: true });
  if (!stands(wanted)) return;
  if (answer.ok) {
    plan = { request: wanted, said: answer.body, key: once() };
    app = answer.body.app;
    if (wanted.target) names.set(answer.body.target, wanted.target);
    note($("logout-note"), "", ...inWords(wanted, answer.body));
  } else {
    note($("logout-note"), "bad", "Nothing was changed.", answer.problem);
  }
  ready();
  if (plan) lead($("do-it").disabled ? $("target") : $("do-it"));
}

/** Moves the focus on, but not away from somebody who has gone elsewhere while the answer was under way. */
function lead(to) {
  const at = document.activeElement;
  if (at === document.body || $("logout-form").contains(at)) to.focus();
}

/** Whether the form still says what was sent; somebody may be typing the next one. */
const stands = (wanted) => JSON.stringify(wanted) === JSON.stringify(request());

function inWords({ scope: of, target }, { app: name, target: hash, records, nodes }) {
  const whom = { subject: `Every session of the subject ${target}`, tenant: `Every session of the tenant ${target}`, label: `Every session with the label ${target}` }[of];
  const who = of === "all" ? `Everybody in ${name} would be logged out.` : of === "session" ? `The session ${target} in ${name} would be refused.` : `${whom} in ${name} that has begun by now would be refused.`;
  const days = of === "session" && records > 1 ? ", one for each day on which the session may end" : "";
  const what = `It writes ${plural(records, "record")}${hash && hash !== target ? ` for ${hash}` : ""}${days}, and ${plural(nodes, "node")} must hear of it.`;
  const after = `${of === "session" ? "" : "Who logs in afterwards is let in. "}There is no way back but logging in again.`;
  const confirm = of === "all" ? `Type ${name} above, then press 2.` : "";
  return [who, what, after, confirm];
}

/** The same key twice is done once, so a press that got no answer can be repeated. */
const once = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function logOut() {
  if (!plan || sending || $("do-it").disabled) return;
  const { request: wanted, key } = plan;
  sending = true;
  ready();
  note($("logout-note"), "", "Writing it down…");
  const answer = await ask("POST", "v1/revocations", { ...wanted, wait: "in_force", timeout_seconds: 1 }, { "idempotency-key": key });
  sending = false;
  const next = !stands(wanted);
  if (answer.ok) {
    follow(answer.body);
    if (!next) {
      plan = null;
      $("target").value = "";
      $("reason").value = "";
      note($("logout-note"), "good", `Revoked at ${clock(answer.body.requested_at)} UTC.`, "It is in the list for good. Which nodes refuse the sessions already stands under “How far it has come”.");
      lead($("progress"));
    }
  } else if (answer.status === 0 || answer.status >= 500) {
    note($("logout-note"), "bad", "It is not known whether it was done.", answer.problem, "Press 2 again when the server is back: the same request is done once, however often it is sent.");
  } else {
    note($("logout-note"), "bad", "Nothing was changed.", answer.problem);
  }
  ready();
}
