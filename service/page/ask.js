// What the page asks of the service; the key goes into a header, and nowhere else.

import { t } from "./texts.js";

const PATIENCE_MS = 5_000;
const STORED = "clearway.key";

/** What went wrong between this page and the service, in words. */
export class Trouble extends Error {}

/** The status, the JSON and the server's time; throws Trouble where no such answer came. */
export async function ask(path, { key = "", body } = {}) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const sent = body && { method: "POST", body: JSON.stringify(body) };
  let answer;
  let text;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    answer = await fetch(path, { headers, signal, cache: "no-store", ...sent });
    text = await answer.text();
  } catch (error) {
    throw new Trouble(unanswered(error));
  }
  const at = Date.parse(answer.headers.get("date"));
  return { status: answer.status, body: parsed(answer.status, text), now: at || Date.now() };
}

function unanswered(error) {
  if (error.name === "TimeoutError") return t("trouble.timeout", { seconds: PATIENCE_MS / 1000 });
  return t("trouble.unreachable");
}

function parsed(status, text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Trouble(t("trouble.stranger", { status }));
  }
}

/** An error in words. One of our own code is for the console too; the page goes on asking. */
export function said(error) {
  if (error instanceof Trouble) return error.message;
  console.error(error);
  return t("trouble.page");
}

/** The key of this tab, or nothing. */
export function storedKey() {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return ""; // storage is forbidden here: the key lives as long as the page
  }
}

/** Nothing; this tab has the key, or none any more. */
export function storeKey(text) {
  try {
    if (text) sessionStorage.setItem(STORED, text);
    else sessionStorage.removeItem(STORED);
  } catch {
    // see storedKey()
  }
}
