
// --- what changes, as it changes: server-sent events over fetch, because EventSource cannot carry a token

/** A line that says nothing for this long is dead: the server writes every second. */
const SILENCE = 8_000;
const AGAIN = [500, 1_000, 2_000, 4_000];

let stream = null; // what aborts it
let tries = 0;
let away = null; // since when the server does not answer
let storeAway = null;

async function listen() {
  const mine = new AbortController();
  stream = mine;
  let watchdog;
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => mine.abort(), SILENCE);
  };
  try {
    alive();
    const response = await fetch(beside("v1/events"), { ...options(), signal: mine.signal });
    if (response.status === 401) return forget("This token is not known any more: it was revoked, or is over.");
    if (!response.ok) throw new Error();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (stream !== mine) return;
      if (done) throw new Error();
      alive();
      text += value;
      const pieces = text.split("\n\n");
      text = pieces.pop();
      for (const piece of pieces) heard(piece);
    }
  } catch {
    clearTimeout(watchdog);
    if (stream !== mine) return; // it was ended on purpose
    linkLost();
    setTimeout(() => stream === mine && listen(), AGAIN[Math.min(tries++, AGAIN.length - 1)]);
  }
}

function heard(piece) {
  let name = "message", data = "";
  for (const line of piece.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (!data) return;
  const said = JSON.parse(data);
  if (name === "hello") linkBack(said);
  if (name === "store") storeIs(said);
  if (name === "nodes") showNodes(said);
  if (name === "operation") showOperation(said);
  if (name === "revocations") listGrew(said);
}

/** Whoever may not listen to events asks now and then whether the server is there. Nobody needs a token for that. */
async function knock() {
  const mine = new AbortController();
  stream = mine;
  while (stream === mine) {
    try {
      const response = await fetch(beside("readyz"), { ...options(), signal: AbortSignal.any([mine.signal, AbortSignal.timeout(SILENCE)]) });
      if (stream !== mine) return;
      if (away !== null || tries === 0) linkBack(null);
      storeIs(response.ok ? { state: "back" } : { state: "away", problem: "" });
    } catch {
      if (stream === mine) linkLost();
    }
    await new Promise((done) => setTimeout(done, 3_000));
  }
}

function linkLost() {
  if (!token || away !== null) return;
  away = Date.now();
  showLink();
}

/** Nothing was kept for us meanwhile, so everything is read again. */
function linkBack() {
  away = null;
  tries = 1;
  storeAway = null;
  showLink();
  readAgain();
}

function storeIs({ state, problem }) {
  const was = storeAway;
  storeAway = state === "away" ? (was ?? { since: Date.now(), problem }) : null;
  showLink();
  if (was && !storeAway) readAgain();
}

function showLink() {
  const [tone, words] = !token ? ["", "No token yet"]
    : away !== null ? ["bad", `Server away since ${clock(away)}`]
    : storeAway ? ["bad", `List out of reach since ${clock(storeAway.since)}`]
    : ["good", may("read") ? "Live" : "Connected"];
  shape($("link"), tone);
  say($("link-words"), words);
  document.body.classList.toggle("stale", Boolean(token && (away !== null || storeAway)));
  document.title = away !== null || storeAway ? `${words}: sealjar` : "sealjar console";
  $("link").title = storeAway ? storeAway.problem : "";
}

/** Works after the event, at most once in `pause` milliseconds; never twice at once, or an older answer might come last. */
function calmly(work, pause) {
  let due = null, last = 0, working = false, again = false;
  const begin = async () => {
    [due, last] = [null, Date.now()];
    if (!token || away !== null) return;
    [working, again] = [true, false];
    try {
      await work();
    } finally {
      working = false;
    }
    if (again) tell();
  };
  const tell = () => {
    if (working) again = true;
    else due ??= setTimeout(begin, Math.max(0, last + pause - Date.now()));
  };
  return tell;
}

const readStore = calmly(loadStore, 5_000);
const readKeys = calmly(loadKeys, 2_000);
const readAudit = calmly(loadAudit, 1_000);

function readAgain() {
  for (const read of [readStore, readKeys, readAudit]) read();
  loadOperations();
  if (may("read")) loadNodes();
}

function listGrew({ whole, revocations }) {
  readStore();
  readAudit();
  if (whole || revocations.some((row) => row.kind === "key")) readKeys();
}
