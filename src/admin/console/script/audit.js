
// --- what was done and what was refused, the newest first; what was only looked at is left out

function allowAudit() {
  whyNot("audit", "read");
}

async function loadAudit() {
  if (!may("read")) return;
  const answer = await ask("GET", "v1/audit?limit=60&without=read");
  if (answer.ok) showAudit(answer.body.records);
}

const DEEDS = { attempt: "", outcome: "", refused: "refused", started: "started", tail_lost: "records are missing", torn_line: "a torn line was cut off" };

/** An attempt and how it ended are one row. */
function showAudit(records) {
  const ends = new Map(records.filter(({ event }) => event === "outcome").map((record) => [record.of, record]));
  const shown = records.filter(({ event, of }) => event !== "outcome" || !records.some(({ seq }) => seq === of)).slice(0, 30);
  const list = $("audit-rows");
  if (list.matches(READING) && list.children.length) return void (waiting = records);
  waiting = null;
  rows(list, shown, ({ seq }) => seq, stateRow, (row, record) => {
    const end = ends.get(record.seq) ?? (record.event === "outcome" ? record : null);
    const bad = record.event === "tail_lost" || record.event === "torn_line" || (end && end.status >= 500);
    const tone = bad ? "bad" : record.event === "refused" || (end && end.status >= 400) ? "warn" : "";
    fillRow(row, {
      tone,
      who: [record.action.replaceAll("_", " "), record.scope && whose(record)].filter(Boolean).join(" "),
      value: moment(record.at),
      more: [
        DEEDS[record.event],
        end ? end.result.replaceAll("_", " ") : record.event === "attempt" ? "no end written down yet" : record.result,
        record.count > 1 ? `${record.count} times` : null,
        record.reason && `“${record.reason}”`,
        record.actor, record.peer,
      ].filter(Boolean).join(" · "),
    });
  }, { ordered: true });
}

const READING = matchMedia("(hover: hover)").matches ? ":hover, :focus" : ":focus";

let waiting = null; // records that came while somebody was reading
