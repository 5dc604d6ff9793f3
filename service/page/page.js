// The status page: asks /readyz, and with a key for the roster's figures, again and again.
// The key lives in this tab only (sessionStorage) and goes into the header only.

import { ask, said, storedKey, storeKey, Trouble } from "./ask.js";
import { drawTrend } from "./charts.js";
import * as desk from "./desk.js";
import { part, write } from "./dom.js";
import { clear, draw } from "./figures.js";
import { showRoster, showSilence, showState } from "./status.js";
import { lang, t, translate } from "./texts.js";
import * as words from "./words.js";

const STATE_MS = 1_000;
const ROSTER_MS = 600; // what somebody else changes shows within a second
const TREND_MS = 10_000;
const HIDDEN_MS = 10_000;
const TOLD_MS = 2_000;

let key = storedKey();
let scopes = null;
let heard = 0;
let answered = true;
let drawn = 0;

async function lookAtState() {
  try {
    const { status, body } = await ask("/readyz");
    if (!body.conditions) throw new Trouble(t("trouble.status", { status }));
    heard = Date.now();
    answered = true;
    write(part("heard"), t("heard", { time: words.clockOf(heard) }));
    showState(body);
  } catch (error) {
    answered = false;
    const since = heard ? t("because.last_heard", { time: words.clockOf(heard) }) : "";
    showSilence(said(error) + since + t("because.again"));
  }
}

async function lookAtRoster() {
  const asked = key;
  if (!asked) return;
  let trouble = "";
  try {
    if (!scopes && !(await learnScopes(asked))) return;
    if (!looksOn()) return;
    const { status, body, now } = await ask("/v1/roster", { key: asked });
    if (asked !== key) return; // another key, or none, was given meanwhile
    if (status === 401) return refuse(t("trouble.unknown_key"));
    if (status === 200) return show(body, now);
    trouble = status === 503 ? t("trouble.redis") : t("trouble.figures", { status });
  } catch (error) {
    trouble = said(error);
  }
  if (asked === key) age(trouble);
}

/** Whether the key is known to be good for anything here. */
async function learnScopes(asked) {
  const { status, body } = await ask("/v1/key", { key: asked });
  if (asked !== key) return false;
  if (status === 401) return refuse(t("trouble.unknown_key"));
  if (status === 503) throw new Trouble(t("trouble.redis"));
  if (status !== 200 && status !== 403) throw new Trouble(t("trouble.status", { status }));
  const found = status === 200 ? body.scopes : [];
  scopes = found;
  if (!looksOn() && !found.includes("list:read")) return refuse(t("trouble.no_scope"));
  desk.open(asked, found, lookAtRoster);
  layOut();
  lookAtTrend();
  return true;
}

/** Whether the key may see the figures. */
const looksOn = () => Boolean(scopes?.includes("ops") || scopes?.includes("ops:read"));

async function lookAtTrend() {
  const asked = key;
  if (!looksOn()) return;
  try {
    const { status, body, now } = await ask("/v1/trend", { key: asked });
    if (status === 200 && asked === key) drawTrend(body, now);
  } catch (error) {
    said(error); // the roster's figures tell that they are old
  }
}

function show(roster, now) {
  drawn = Date.now();
  draw(roster, now);
  showRoster(roster, now);
  delete part("figures").dataset.old;
  part("notice").hidden = true;
  layOut();
}

/** The last figures stay, marked as old: at night they are better than none. */
function age(why) {
  part("figures").dataset.old = "";
  const which = drawn ? t("trouble.figures_of", { time: words.clockOf(drawn) }) : t("trouble.none_yet");
  write(part("notice"), answered ? t("trouble.no_figures", { why, which }) : which);
  part("notice").hidden = false;
  layOut();
}

/** False; the key is forgotten, and why is told. */
function refuse(why) {
  forget();
  write(part("wrong"), why);
  part("key").setAttribute("aria-invalid", "true");
  part("key").focus();
  return false;
}

function forget() {
  remember("");
  drawn = 0;
  clear();
  desk.leave();
  showRoster(null);
  part("notice").hidden = true;
  layOut();
}

function remember(text) {
  [key, scopes] = [text, null];
  storeKey(text);
}

function layOut() {
  part("ask").hidden = Boolean(key);
  part("forget").hidden = !key;
  part("figures").hidden = !drawn;
  part("desk").hidden = !scopes?.includes("list:read");
}

function accept(event) {
  event.preventDefault();
  const given = part("key").value.trim();
  part("key").value = "";
  part("key").removeAttribute("aria-invalid");
  write(part("wrong"), "");
  // A header holds nothing else, and no key of ours does.
  if (!/^[!-~]+$/.test(given)) return refuse(t("trouble.unknown_key"));
  remember(given);
  layOut();
  lookAtRoster();
}

async function copy() {
  await navigator.clipboard.writeText(part("copy").dataset.text);
  write(part("copy"), t("proof.copied"));
  setTimeout(() => write(part("copy"), t("proof.copy")), TOLD_MS);
}

async function repeat(look, every_ms) {
  try {
    await look();
  } finally {
    setTimeout(repeat, document.hidden ? HIDDEN_MS : every_ms, look, every_ms);
  }
}

translate();
desk.wire();
part("language").href = `/?lang=${lang === "zh" ? "en" : "zh"}`;
part("language").hreflang = part("language").lang = lang === "zh" ? "en" : "zh-CN";
part("form").addEventListener("submit", accept);
part("forget").addEventListener("click", () => {
  forget();
  part("key").focus();
});
part("copy").addEventListener("click", copy);
write(part("copy"), t("proof.copy"));
write(part("zone"), t("zone", { zone: words.zone() }));
layOut();
repeat(lookAtState, STATE_MS);
repeat(lookAtRoster, ROSTER_MS);
repeat(lookAtTrend, TREND_MS);
