
// --- small plots, drawn from what the server said and from nothing else

const ORDER = ["propagation", "sessions", "refusals", "silence"];
const MINUTES = 5;
const plots = new Map();

function allowFigures() {
  whyNot("figures", "read", "revoke");
}

/** A plot by its name: what it shows, its figure of now, its two ends, and what it draws in 120 by 40. */
function plot(name, title, now, ends, shapes) {
  let figure = plots.get(name);
  if (!figure) {
    figure = element("figure", { className: "plot" },
      element("figcaption", {}, element("span", {}, title), element("strong")),
      drawn("svg", { viewBox: "0 0 120 40", preserveAspectRatio: "none", role: "img" }),
      element("div", { className: "ends mono", ariaHidden: "true" }, element("span"), element("span")));
    figure.dataset.name = name;
    plots.set(name, figure);
    $("plots").append(...ORDER.filter((other) => plots.has(other)).map((other) => plots.get(other)));
  }
  say(figure.querySelector("strong"), now);
  const svg = figure.querySelector("svg");
  svg.setAttribute("aria-label", `${title}: ${now}`);
  svg.replaceChildren(...shapes);
  ends.forEach((text, n) => say(figure.querySelectorAll(".ends span")[n], text));
}

/** From 1 ms to 100 s, each tenfold the same height. */
const height = (ms) => Math.max(1.5, (Math.log10(Math.max(1, ms)) / 5) * 38 + 1.5);

/** The last thirty revocations: how long each took until every node refused it. */
function drawPropagation(all) {
  const done = all.filter(({ in_force_after_ms: after }) => after !== null).slice(0, 30).reverse();
  if (!done.length) return;
  const took = done.map(({ in_force_after_ms: after }) => after).sort((a, b) => a - b);
  const bars = done.map(({ in_force_after_ms: after }, n) => {
    const high = height(after);
    return drawn("rect", { x: 120 - (done.length - n) * 4 + 0.5, y: 40 - high, width: 3, height: high, class: after > 5_000 ? "warn" : "" });
  });
  plot("propagation", "Until in force everywhere", `median ${span(took[Math.floor((took.length - 1) / 2)])}, longest ${span(took.at(-1))}`,
    [`last ${plural(done.length, "revocation")}`, "1 ms to 100 s, logarithmic"], bars);
}

/** What was measured in the last minutes, with its time. */
const track = [];

const across = (at) => (120 - ((Date.now() - at) / (MINUTES * 60_000)) * 120).toFixed(2);
const line = (points) => drawn("path", { d: `M${points.join("L")}${points.length === 1 ? "h.5" : ""}` });

function drawNodes(nodes, silent) {
  const before = track.at(-1);
  track.push({ at: Date.now(), silent, ...sinceThen(nodes, before) });
  while (track[0].at < Date.now() - MINUTES * 60_000) track.shift();
  const ends = [`${MINUTES} min ago`, "now"];
  const bound = 40 - height(12_000);
  plot("silence", "Longest silence of a node", span(Math.max(1, silent)), [ends[0], "above the dashes it is late"], [
    drawn("path", { d: `M0 ${bound}H120`, class: "bound" }),
    line(track.map((point) => `${across(point.at)} ${(40 - height(point.silent)).toFixed(1)}`)),
  ]);
  rate("sessions", "Sessions opened", (point) => point.opened, (recent) => `${rounded(recent)} a second`, "");
  const most = Object.entries(total(nodes)).filter(([code]) => REFUSED(code)).sort((a, b) => b[1] - a[1]).slice(0, 3);
  const words = most.map(([code, count]) => `${code} ${count.toLocaleString("en")}`).join(", ");
  rate("refusals", "Refused", (point) => point.refused, (recent) => `${rounded(recent)} a second`, words && `since the nodes started: ${words}`);
}

/** Who comes without a cookie is a stranger, and refused nothing. */
const REFUSED = (code) => code !== "live" && code !== "no_cookie";

function total(nodes) {
  const sum = {};
  for (const { verdicts } of nodes) for (const [code, count] of Object.entries(verdicts ?? {})) sum[code] = (sum[code] ?? 0) + count;
  return sum;
}

/** How many more each node has counted than when it was looked at last; one that is new counts from now on. */
function sinceThen(nodes, before) {
  const counts = new Map(nodes.map((node) => [node.id, node.verdicts ?? {}]));
  let opened = 0, refused = 0;
  // After a gap nobody can say when it was.
  const recent = before && Date.now() - before.at < 15_000;
  for (const [id, verdicts] of counts) {
    const earlier = recent && before.counts.get(id);
    if (!earlier) continue;
    for (const [code, count] of Object.entries(verdicts)) {
      const more = Math.max(0, count - (earlier[code] ?? 0));
      opened += more;
      if (REFUSED(code)) refused += more;
    }
  }
  if (before) before.counts = null;
  return { counts, opened, refused };
}

const rounded = (n) => (n >= 10 || n === 0 ? Math.round(n).toLocaleString("en") : n.toFixed(1));

/** A rate: some seconds together, because nodes on a file say what they have counted every ten seconds only. */
function rate(name, title, of, words, left) {
  const size = 20_000, bars = new Map();
  for (const point of track) {
    const slot = Math.floor(point.at / size);
    bars.set(slot, (bars.get(slot) ?? 0) + of(point));
  }
  const most = Math.max(1, ...bars.values());
  const last = Math.floor(Date.now() / size) - 1; // the one that is whole
  const wide = 120 / ((MINUTES * 60_000) / size);
  const shapes = [...bars].map(([slot, count]) => {
    const high = (count / most) * 36;
    return drawn("rect", { x: Number(across(slot * size)), y: 40 - high, width: wide - 0.6, height: high });
  });
  plot(name, title, words((bars.get(last) ?? 0) / (size / 1_000)), [left || `${MINUTES} min ago`, `${most === 1 ? "" : `at most ${rounded(most / (size / 1_000))} a second`}`], shapes);
}
