// The status page: is told of readiness and figures as they change, or asks again and again: without
// a key of that scope, and while nothing is told. The key lives in this tab only (sessionStorage) and
// goes into the header only.

import { ask, said, storedKey, storeKey, Trouble } from "./ask.js";
import { drawTrend } from "./charts.js";
import * as desk from "./desk.js";
import { part, write } from "./dom.js";
import { clear, draw } from "./figures.js";
import * as live from "./live.js";
import { showRoster, showSilence, showState } from "./status.js";
import { lang, t, translate } from "./texts.js";
import * as words from "./words.js";

const ASKED_MS = 1_000;
const TREND_MS = 10_000;
const HIDDEN_MS = 10_000;
const TOLD_MS = 2_000;

let key = storedKey();
let scopes = null;
let heard = 0;
let answered = true;
let drawn = 0;

async function lookAtState() {
  if (live.isEnough()) return;
  try {
    const { status, body } = await ask("/readyz");
    if (!body.conditions) throw new Trouble(t("trouble.status", { status }));
    hear(body);
  } catch (error) {
    if (live.isEnough()) return;
    answered = false;
    const since = heard ? t("because.last_heard", { time: words.clockOf(heard) }) : "";
    showSilence(said(error) + since + t("because.again"));
  }
}

/** Nothing; the service has told how it is. */
function hear(readiness) {
  heard = Date.now();
  answered = true;
  const { name } = live.standing();
  write(part("heard"), t(name === "flows" ? "heard_live" : "heard", { time: words.clockOf(heard) }));
  showState(readiness);
}

/** Nothing; what the service has told by itself is shown. */
function take(name, told, now) {
  layOut();
  try {
    if (name === "state") hear(told);
    else if (name === "roster") show(told, now);
    else if (name === "trend") drawTrend(told, now);
    else if (told.of === "roster") age(t("trouble.redis"));
  } catch (error) {
    age(said(error));
  }
}

async function follow() {
  const asked = key;
  const status = await live.follow(asked, take);
  if (status && asked === key) refuse(t(status === 401 ? "trouble.unknown_key" : "trouble.no_scope"));
}

async function lookAtRoster() {
  const asked = key;
  layOut();
  if (!asked || live.isEnough()) return;
  let trouble = "";
  try {
    if (!scopes && !(await learnScopes(asked))) return;
    if (!looksOn() || live.isEnough()) return;
    const { status, body, now } = await ask("/v1/roster", { key: asked });
    if (asked !== key || live.isEnough()) return; // another key, or none, was given meanwhile
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
  if (status === 403) return refuse(t("trouble.test_key"));
  if (status !== 200) throw new Trouble(t("trouble.status", { status }));
  const found = body.scopes;
  scopes = found;
  if (!looksOn() && !found.includes("list:read")) return refuse(t("trouble.no_scope"));
  desk.open(asked, found, lookAtRoster);
  if (looksOn()) follow();
  layOut();
  return true;
}

/** Whether the key may see the figures. */
const looksOn = () => Boolean(scopes?.includes("ops") || scopes?.includes("ops:read"));

async function lookAtTrend() {
  const asked = key;
  if (!looksOn() || live.isEnough()) return;
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
  live.leave();
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
  const { name, why, until } = live.standing();
  part("live").hidden = name !== "waits";
  if (name === "waits") write(part("live"), t("live.off", { why, time: words.clockOf(until) }));
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
repeat(lookAtState, ASKED_MS);
repeat(lookAtRoster, ASKED_MS);
repeat(lookAtTrend, TREND_MS);
