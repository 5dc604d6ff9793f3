// A carrier's jobs with fetch: a check, a manifest, the feed, and when to ask again.
// node docs/snippets/carrier.mjs (Node 18 and newer)

const BUDGET_MS = 10000;
const TRY_MS = 2000;
const AGAIN = new Set([0, 408, 429, 500, 502, 503, 504]);
const { CLEARWAY_URL, CLEARWAY_API_KEY, LISTED, LISTED_NAME, FREE, SAVED } = process.env;
const FLIGHT = { mode: "air", departs_at: new Date(Date.now() + 30 * 86400e3).toISOString() };
const resident = (number) => ({ type: "resident_id", number });

const NO_ISSUER = { type: "passport", number: "E00000000" }; // so that the service cannot read it

/** A status that asking again does not change; `oldest` is where the feed can be read from. */
class Refused extends Error {
  constructor(status, oldest) {
    super(`refused (${status}): mend the request or the key`);
    this.oldest = oldest;
  }
}

/** The answer; safe for whatever changes nothing. No error repeats what was sent. */
async function ask(path, body) {
  const deadline = Date.now() + BUDGET_MS;
  for (let pauseMs = 50; ; pauseMs *= 2) {
    let status = 0;
    let waitMs = pauseMs;
    let oldest;
    try {
      const answer = await fetch(CLEARWAY_URL + path, {
        method: body ? "POST" : "GET",
        headers: { authorization: `Bearer ${CLEARWAY_API_KEY}`, "content-type": "application/json" },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(TRY_MS),
      });
      if (answer.ok) return await answer.json();
      status = answer.status;
      if (status === 410) oldest = (await answer.json()).oldest;
      waitMs = Number(answer.headers.get("retry-after") ?? NaN) * 1000 || pauseMs;
    } catch {
      // nobody there, cut off, or too slow: as if it were a 503
    }
    if (!AGAIN.has(status)) throw new Refused(status, oldest);
    waitMs *= 1 + Math.random() / 4; // jitter: not all at once
    if (Date.now() + waitMs > deadline) {
      throw new Error(`no answer (${status}): the manual procedure`);
    }
    await new Promise((done) => setTimeout(done, waitMs));
  }
}

async function check(number, name) {
  const answer = await ask("/v1/check", { document: resident(number), name, journey: FLIGHT });
  return [answer.decision, ...answer.reasons.map((reason) => reason.code)].join(" ");
}

/** A page of the feed; from where it can be read, where the position is too old. */
async function page(position) {
  const after = position ? `&after=${encodeURIComponent(position)}` : "";
  try {
    return await ask(`/v1/changes?wait_ms=500${after}`);
  } catch (refused) {
    if (!refused.oldest) throw refused;
    console.log("feed: too old a position, ask again about everybody whom you have refused");
    return page(refused.oldest);
  }
}

console.log("listed:", await check(LISTED, LISTED_NAME));
console.log("free:", await check(FREE, "王试"));

// At most 1,000 items; the results stand in their order, and one may be an `error`.
const items = [
  { document: resident(LISTED), reference: "1A" },
  { document: NO_ISSUER, reference: "1B" },
  { document: resident(FREE), reference: "1C" },
];
const { results } = await ask("/v1/check/batch", { journey: FLIGHT, items });
results.forEach(({ error, decision }, at) => {
  console.log(`manifest ${items[at].reference}:`, error ? "error" : decision);
});

// Save `position` behind what you have dealt with, and begin there the next time.
for (let position = SAVED; ; ) {
  const news = await page(position);
  position = news.position;
  if (!news.changes.length) break;
  for (const change of news.changes) console.log("changed: ask again about", change.subject);
}
console.log("feed: read to its end");
