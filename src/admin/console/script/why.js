
// --- why was this session refused: a cookie in, the verdict out

let explained = null;

function allowWhy() {
  $("why-fields").disabled = !whyNot("why", "read");
}

async function askWhy(event) {
  event.preventDefault();
  const pasted = $("cookie").value;
  if (!pasted.trim() || !may("read")) return;
  $("cookie").value = "";
  $("ask-why").disabled = true;
  const answer = await ask("POST", "v1/explain", { cookie: pasted });
  $("ask-why").disabled = false;
  explained = answer.ok ? answer.body : null;
  $("why-answer").replaceChildren(...(answer.ok ? verdict(answer.body) : [element("p", { className: "note bad" }, answer.problem)]));
  $("why-next").hidden = !(answer.ok && answer.body.verdict === "live");
  readAudit();
}

function verdict(said) {
  const live = said.verdict === "live";
  const nothing = said.verdict === "no_cookie";
  const tone = live ? "good" : nothing || said.verdict === "list_unavailable" ? "warn" : "bad";
  const head = element("p", { className: `verdict ${tone}` }, element("span", { className: "mark", ariaHidden: "true" }),
    live ? "Accepted" : nothing ? "No cookie of this app" : "Refused", element("code", { className: `pill ${tone}` }, said.verdict));
  const list = element("dl", { className: "facts" });
  const { session, revoked_by: by, hit } = said;
  facts(list, [
    ["Why", said.cause],
    ["What to do", said.fix],
    ["Revoked", by && `${moment(by.at)} by ${by.actor ?? "somebody"}${by.reason ? `: “${by.reason}”` : ""}`],
    ["Who revoked it", hit && !by ? "The audit of this endpoint does not say: the app itself, or another tool." : null],
    ["Revocation", hit && whose(hit)],
    ["Cookie", said.characters === null ? `${said.cookie}: not found in this` : `${said.cookie}, ${plural(said.characters, "character")}, ${said.suite ?? "unknown suite"}`],
    ["Key", said.key && `${said.key}, ${said.key_state ?? "not known here"}`],
    ["Session", session?.handle],
    ["Logged in", session && (session.logged_in ? `yes, since ${moment(session.authenticated_at)}` : "no")],
    ["Begun", session && moment(session.born < session.sealed_at ? session.born : session.sealed_at)],
    ["Sealed", session && moment(session.sealed_at)],
    ["Ends if idle", session && left(session.idle_left)],
    ["Ends in any case", session && `${left(session.absolute_left)} (${moment(session.expires)})`],
  ]);
  return [head, list];
}

const left = (seconds) => (seconds > 0 ? `in ${span(seconds * 1_000)}` : "is over");

/** Into the form above, where the dry run comes first as ever. */
function whyLogout() {
  if (!explained?.session || !may("revoke")) return;
  document.querySelector("input[name=scope][value=session]").checked = true;
  scopeChosen();
  $("target").value = explained.session.handle;
  $("reason").focus();
}
