// The status page: asks /readyz, and with a key /v1/roster, every two seconds.
// The key lives in this tab only (sessionStorage) and goes into the header only.

import { clear, draw, part, resize, write } from "./figures.js";
import * as words from "./words.js";

const EVERY_MS = 2_000;
const PATIENCE_MS = 5_000;
const STORED = "clearway.key";
const REFUSED = {
  401: "This key is unknown, expired or revoked.",
  403: "This key lacks the scope “ops”.",
};

let key = stored();
let heard = 0;
let answered = true;
let drawn = 0;

/** What went wrong between this page and the service, in words. */
class Trouble extends Error {}

/** The status, the JSON and the server's time; throws Trouble where no such answer came. */
async function ask(path, headers = {}) {
  let answer;
  let body;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    answer = await fetch(path, { headers, signal, cache: "no-store" });
    body = await answer.text();
  } catch (error) {
    throw new Trouble(unanswered(error));
  }
  const sent = Date.parse(answer.headers.get("date"));
  return { status: answer.status, body: parsed(answer.status, body), now: sent || Date.now() };
}

function unanswered(error) {
  return error.name === "TimeoutError"
    ? `There was no answer within ${PATIENCE_MS / 1000} s.`
    : "The service cannot be reached from here: it has ended, or the network is down.";
}

function parsed(status, body) {
  try {
    return JSON.parse(body);
  } catch {
    throw new Trouble(`Something other than Clearway answered, with status ${status}.`);
  }
}

/** An error of our own code is for the console too; the page goes on asking. */
function said(error) {
  if (error instanceof Trouble) return error.message;
  console.error(error);
  return "This page could not show the answer. Reload it.";
}

async function lookAtState() {
  try {
    const { status, body } = await ask("/readyz");
    if (!body.conditions) throw new Trouble(`Clearway answered with status ${status}.`);
    heard = Date.now();
    answered = true;
    write(part("heard"), `heard at ${words.clockOf(heard)}`);
    showState(body);
  } catch (error) {
    answered = false;
    const since = heard ? ` Last heard at ${words.clockOf(heard)}.` : "";
    tell("bad", "No answer", `${said(error)}${since} Asking again every ${EVERY_MS / 1000} s.`);
    showConditions({}, []);
  }
}

function showState({ ready, conditions, degraded }) {
  const failed = Object.entries(conditions).filter(([, each]) => !each.ok);
  if (!ready) {
    const why = failed.map(([name, each]) => each.detail || name).join("; ");
    tell("bad", "Not ready", `No check is decided here (${why}).`);
  } else if (degraded.length) {
    tell("warn", "Ready, but degraded", "Checks are answered. Not as it should be:");
  } else {
    tell("ok", "Ready", "Checks are answered, and everything is as it should be.");
  }
  showConditions(conditions, degraded);
}

function tell(tone, verdict, because) {
  part("state").dataset.tone = tone;
  write(part("verdict"), verdict);
  write(part("because"), because);
  document.title = `${verdict} – Clearway`;
}

function showConditions(conditions, degraded) {
  const names = Object.keys(conditions);
  items("conditions", names, (item, name) => {
    item.dataset.tone = conditions[name].ok ? "ok" : "bad";
    item.replaceChildren(words.CONDITIONS[name] ?? name, " ", code(name));
  });
  items("degraded", degraded, (item, name) => {
    const told = document.createElement("span");
    told.append(words.DEGRADED[name.split(":")[0]] ?? "See the operations manual.");
    item.replaceChildren(code(name), told);
  });
}

/** Nothing; the list has an item for each name, and is hidden without any. */
function items(id, names, fill) {
  const list = part(id);
  list.hidden = !names.length;
  resize(list, names.length, () => document.createElement("li"));
  names.forEach((name, at) => fill(list.children[at], name));
}

function code(text) {
  const element = document.createElement("code");
  element.append(text);
  return element;
}

async function lookAtRoster() {
  const asked = key;
  if (!asked) return;
  let trouble = "";
  try {
    const { status, body, now } = await ask("/v1/roster", { authorization: `Bearer ${asked}` });
    if (asked !== key) return; // another key, or none, was given meanwhile
    if (status in REFUSED) return refuse(REFUSED[status]);
    if (status === 200) return show(body, now);
    trouble = status === 503 ? "Redis does not answer." : `The figures were answered with status ${status}.`;
  } catch (error) {
    trouble = said(error);
  }
  if (asked === key) age(trouble);
}

function show(roster, now) {
  drawn = Date.now();
  draw(roster, now);
  delete part("figures").dataset.old;
  part("notice").hidden = true;
  layOut(true);
}

/** The last figures stay, marked as old: at night they are better than none. */
function age(trouble) {
  part("figures").dataset.old = "";
  const figures = drawn
    ? `The figures below are those of ${words.clockOf(drawn)}.`
    : "There are no figures yet.";
  write(part("notice"), answered ? `No new figures. ${trouble} ${figures}` : figures);
  part("notice").hidden = false;
  layOut(Boolean(drawn));
}

function refuse(why) {
  forget();
  write(part("wrong"), why);
  part("key").setAttribute("aria-invalid", "true");
  part("key").focus();
}

function forget() {
  remember("");
  drawn = 0;
  clear();
  part("notice").hidden = true;
  layOut(false);
}

function layOut(figures) {
  part("ask").hidden = Boolean(key);
  part("forget").hidden = !key;
  part("figures").hidden = !figures;
}

function accept(event) {
  event.preventDefault();
  const given = part("key").value.trim();
  part("key").value = "";
  part("key").removeAttribute("aria-invalid");
  write(part("wrong"), "");
  // A header holds nothing else, and no key of ours does.
  if (!/^[!-~]+$/.test(given)) return refuse(REFUSED[401]);
  remember(given);
  layOut(false);
  lookAtRoster();
}

function stored() {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return ""; // storage is forbidden here: the key lives as long as the page
  }
}

function remember(text) {
  key = text;
  try {
    if (text) sessionStorage.setItem(STORED, text);
    else sessionStorage.removeItem(STORED);
  } catch {
    // see stored()
  }
}

async function copy() {
  await navigator.clipboard.writeText(part("copy").dataset.text);
  write(part("copy"), "Copied");
  setTimeout(() => write(part("copy"), "Copy"), EVERY_MS);
}

async function repeat(look) {
  try {
    await look();
  } finally {
    setTimeout(repeat, EVERY_MS, look);
  }
}

part("form").addEventListener("submit", accept);
part("forget").addEventListener("click", () => {
  forget();
  part("key").focus();
});
part("copy").addEventListener("click", copy);
write(part("zone"), `Times are in ${words.zone()}.`);
layOut(false);
repeat(lookAtState);
repeat(lookAtRoster);
