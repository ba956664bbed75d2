
// --- the server: asked with the token, which is in this variable and nowhere else

let token = "";
let scopes = [];

/** Beside this page, wherever the routes are mounted. */
const beside = (path) => new URL(path, location.origin + location.pathname.replace(/\/*$/, "/"));

const options = () => ({
  cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
  headers: token ? { authorization: `Bearer ${token}` } : {},
});

/** Asks. The answer says `ok`, `status` (0 when there was none) and, when it is not ok, `problem` in words. */
async function ask(method, path, body, headers = {}) {
  const request = options();
  request.method = method;
  Object.assign(request.headers, headers);
  if (body) {
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  const asked = token;
  let answer;
  try {
    const response = await fetch(beside(path), request);
    answer = { ok: response.ok, status: response.status, body: await response.json() };
  } catch {
    if (asked === token) linkLost();
    return { ok: false, status: 0, problem: "The server does not answer.", body: {} };
  }
  if (asked !== token) return { ok: false, status: 0, problem: "The token was forgotten meanwhile.", body: {} };
  if (answer.ok) return answer;
  if (answer.status === 401 && asked && scopes.length) forget("This token is not known any more: it was revoked, or is over.");
  return { ...answer, problem: answer.body.detail || answer.body.title || `The server answered ${answer.status}.` };
}

/** Whether the token is good for one of these; who may log out everybody may log out each. */
const may = (...wanted) => wanted.some((scope) => scopes.includes(scope) || (scope === "revoke" && scopes.includes("revoke.all")));

/** Says why a part of the page is not for this token, or nothing. */
function whyNot(part, ...wanted) {
  const allowed = may(...wanted);
  const words = `This token is good for ${scopes.join(", ")}; here it needs ${wanted.join(" or ")}. Make another: \`sealjar token new --scope ${[...scopes, wanted[0]].join(",")}\``;
  $(`${part}-why-not`).hidden = allowed;
  $(`${part}-why-not`).replaceChildren(...(allowed ? [] : worded(words)));
  return allowed;
}
