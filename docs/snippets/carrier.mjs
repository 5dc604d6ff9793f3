// A carrier's jobs with fetch: a check, a manifest, the feed, and when to ask again.
// node docs/snippets/carrier.mjs (Node 18 and newer)

const BUDGET_MS = 10000;
const TRY_MS = 2000;
const AGAIN = new Set([0, 408, 429, 500, 502, 503, 504]);
const { CLEARWAY_URL, CLEARWAY_API_KEY, LISTED, FREE, SAVED } = process.env;
const FLIGHT = { mode: "air" };
const resident = (number) => ({ type: "resident_id", number });

/** The answer; safe for whatever changes nothing. No error repeats what was sent. */
async function ask(path, body) {
  const deadline = Date.now() + BUDGET_MS;
  for (let pauseMs = 50; ; pauseMs *= 2) {
    let status = 0;
    let waitMs = pauseMs;
    try {
      const answer = await fetch(CLEARWAY_URL + path, {
        method: body ? "POST" : "GET",
        headers: { authorization: `Bearer ${CLEARWAY_API_KEY}`, "content-type": "application/json" },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(TRY_MS),
      });
      if (answer.ok) return await answer.json();
      status = answer.status;
      waitMs = Number(answer.headers.get("retry-after") ?? NaN) * 1000 || pauseMs;
    } catch {
      // nobody there, cut off, or too slow: as if it were a 503
    }
    waitMs *= 1 + Math.random() / 4; // jitter: not all at once
    if (!AGAIN.has(status) || Date.now() + waitMs > deadline) {
      throw new Error(`no answer (${status}): refer to the manual procedure`);
    }
    await new Promise((done) => setTimeout(done, waitMs));
  }
}

async function check(number) {
  const answer = await ask("/v1/check", { document: resident(number), journey: FLIGHT });
  return [answer.decision, ...answer.reasons.map((reason) => reason.code)].join(" ");
}

console.log("listed:", await check(LISTED));
console.log("free:", await check(FREE));

// At most 1,000 items; the results stand in their order, and one may be an `error`.
const items = [{ document: resident(LISTED) }, { document: resident(FREE) }];
const { results } = await ask("/v1/check/batch", { journey: FLIGHT, items });
console.log("manifest:", ...results.map((result) => result.decision));

// Save `position`, and begin there the next time; a 410 says from where to begin anew.
for (let position = SAVED; ; ) {
  const after = position ? `&after=${encodeURIComponent(position)}` : "";
  const page = await ask(`/v1/changes?wait_ms=500${after}`);
  position = page.position;
  if (!page.changes.length) break;
  for (const change of page.changes) console.log("changed: ask again about", change.subject);
}
console.log("feed: read to its end");
