
// --- the list and the store that holds it

let storeSaid = null;

function allowStore() {
  whyNot("store", "read");
}

async function loadStore() {
  if (!may("read")) return;
  const answer = await ask("GET", "v1/store");
  if (!answer.ok) {
    note($("store-note"), "bad", "The list cannot be read.", answer.problem);
    return tile("store", "bad", "Out of reach", "");
  }
  storeSaid = answer.body;
  app = storeSaid.app;
  say($("app"), app);
  const { healed, records, freshness, memory, risks } = storeSaid;
  facts($("store-facts"), [
    ["Kept in", storeSaid.store],
    ["Whole", healed ? "yes" : "no: nodes are giving back what it lost"],
    ["Entries", records.toLocaleString("en")],
    ["Takes up", [memory.list !== null && `${bytes(memory.list)} in the store`, `${bytes(memory.here)} here`].filter(Boolean).join(", ")],
    ["Server's memory", memory.server === null ? null : memory.limit === null ? `${bytes(memory.server)}, no limit` : `${bytes(memory.server)} of ${bytes(memory.limit)}`],
    ["Present life", storeSaid.incarnation],
    ["As read here", freshness],
  ]);
  note($("store-note"), healed ? "" : "warn",
    ...(healed ? [] : ["The store has lost records, and is being filled again.", "Nobody is let in by a list that lacks some; nodes confirm each session, or answer 503, until it is whole."]));
  rows($("store-risks"), risks, ({ code, seen }) => `${code} ${seen}`, stateRow,
    (row, { code, severity, seen, fix }) => fillRow(row, { tone: severity === "problem" ? "bad" : "warn", who: code.replaceAll("_", " "), value: severity, more: `${seen}. ${fix}.` }));
  $("no-risks").hidden = risks.length > 0;
  const worst = risks.some(({ severity }) => severity === "problem") ? "bad" : risks.length ? "warn" : "good";
  const entries = plural(records, "entry", "entries");
  if (!risks.length) tile("store", "good", entries, "whole");
  else tile("store", worst, healed ? plural(risks.length, "risk") : "Being filled again", `${risks[0].code.replaceAll("_", " ")}${risks.length > 1 ? " and others" : ""} · ${entries}`);
}
