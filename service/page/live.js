// What the service tells by itself: server-sent events over fetch, so that the key stays in a
// header. Where none come through the page asks, and this tries again later: the more often it was
// in vain, the later. A tab that nobody sees holds no connection.

import { t } from "./texts.js";

const PATH = "/v1/live?for_ms=3600000";
const SILENT_MS = 4_000; // something is told twice a second
const PATIENT_MS = 1_500; // so long nobody is asked at the beginning
const PAUSE_MS = [500, 60_000];
const STEADY_MS = 10_000; // a stream that lasted so long was a good one

let run = 0;
let control = null;
let state = { name: "off" };

/** "off", "begins", "flows" or "waits", and why and until when it waits. */
export const standing = () => state;

/** Whether what is told by itself is enough. */
export const isEnough = () =>
  state.name === "flows" || (state.name === "begins" && Date.now() - state.since < PATIENT_MS);

/** Nothing; nothing is told any more. */
export function leave() {
  run += 1;
  control?.abort();
  state = { name: "off" };
}

/** The status with which this key was refused, or nothing once another is followed: until then
 * `tell` hears of each event, its name, its data, and the server's time of it. */
export async function follow(key, tell) {
  leave();
  const own = run;
  for (let tries = 0; own === run; tries += 1) {
    await untilSeen();
    if (own !== run) return 0;
    const began = Date.now();
    state = { name: "begins", since: began };
    const { status, why } = await listen(key, tell);
    if (own !== run) return 0;
    if (status === 401 || status === 403) return status;
    if (Date.now() - began > STEADY_MS) tries = 0;
    await wait(why, tries);
  }
  return 0;
}

async function wait(why, tries) {
  const pause = Math.min(PAUSE_MS[0] * 2 ** tries, PAUSE_MS[1]) * (0.5 + Math.random() / 2);
  state = { name: "waits", why, until: Date.now() + pause };
  await new Promise((done) => setTimeout(done, pause));
}

/** How a stream ended. */
async function listen(key, tell) {
  const own = (control = new AbortController());
  let silent = false;
  const cut = () => {
    silent = true;
    own.abort();
  };
  let timer = setTimeout(cut, SILENT_MS);
  try {
    const headers = { authorization: `Bearer ${key}` };
    const answer = await fetch(PATH, { headers, cache: "no-store", signal: own.signal });
    if (!answer.ok) return { status: answer.status, why: refusal(answer.status) };
    for await (const { event, id, data } of events(answer.body)) {
      clearTimeout(timer);
      timer = setTimeout(cut, SILENT_MS);
      if (own !== control || own.signal.aborted) break;
      state = { name: "flows" };
      tell(event, JSON.parse(data), Date.parse(id));
    }
    return { status: answer.status, why: t("live.ended") };
  } catch {
    return { status: 0, why: t(silent ? "live.held" : "live.broken") };
  } finally {
    clearTimeout(timer);
    own.abort();
  }
}

const refusal = (status) => (status === 429 ? t("live.full") : t("live.status", { status }));

/** The events of a body, each with its fields. */
async function* events(body) {
  let text = "";
  for await (const piece of pieces(body.pipeThrough(new TextDecoderStream()).getReader())) {
    const blocks = (text + piece).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) yield Object.fromEntries(block.split("\n").map(field));
  }
}

async function* pieces(reader) {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function field(line) {
  const at = line.indexOf(": ");
  return [line.slice(0, at), line.slice(at + 2)];
}

/** Nothing, once the tab is seen; one that is hidden meanwhile ends its stream. */
async function untilSeen() {
  while (document.hidden) {
    state = { name: "off" };
    await new Promise((done) => addEventListener("visibilitychange", done, { once: true }));
  }
}

addEventListener("visibilitychange", () => {
  if (document.hidden) control?.abort();
});
