// What may be done now, what is wrong, and what to do about it: the top of the page.

import { isWritten, make, part, resize, write } from "./dom.js";
import { rich, t, texts } from "./texts.js";
import * as words from "./words.js";

const FULL = 0.9;
const OPEN_MS = 3_600_000;
export const LATE_MS = 5_000;

let readiness = null;
let troubles = null;

/** Nothing; the page says what /readyz has said. */
export function showState(told) {
  readiness = told;
  show();
}

/** Nothing; the page says what is wrong by the roster's figures; null: they are not known. */
export function showRoster(roster, now) {
  troubles = roster && troublesOf(roster, now);
  if (readiness) show();
}

/** Nothing; the page says that nobody answers, and why. */
export function showSilence(why) {
  readiness = null;
  tell("bad", "silent", why);
  showConditions({});
  showTroubles([]);
}

function show() {
  const { ready, conditions, degraded } = readiness;
  const failed = Object.entries(conditions).filter(([, each]) => !each.ok);
  const told = [
    ...failed.map(([name, { detail }]) => ({ name, tone: "bad", ...condition(name, detail) })),
    ...degraded.map((each) => ({ name: each, tone: "warn", ...oddity(each) })),
    ...(troubles ?? []),
  ];
  if (!ready) {
    const why = failed.map(([name, { detail }]) => condition(name, detail).what).join(t("between.faults"));
    tell("bad", "unready", t("because.unready", { why }));
  } else {
    const well = t(`because.${troubles ? "well" : "unseen"}`);
    const because = told.length ? t("because.degraded") : well;
    tell(told.length ? "warn" : "ok", degraded.length ? "degraded" : "ready", because);
  }
  showConditions(conditions);
  showTroubles(told);
}

function tell(tone, verdict, because) {
  part("state").dataset.tone = tone;
  write(part("verdict"), t(`verdict.${verdict}`));
  write(part("because"), because);
  document.title = `${t(`verdict.${verdict}`)} – Clearway`;
}

/** A failed condition: what is the matter, and what to do. */
function condition(name, detail) {
  const named = detail.includes(": ") ? detail.split(": ").at(-1) : "";
  const names = named.replaceAll(", ", t("between.names"));
  if (!texts.conditions[name]) return { what: detail || name, todo: t("degraded.other.1") };
  return { what: t(`conditions.${name}.1`, { names }), todo: t(`conditions.${name}.2`) };
}

/** What is degraded; behind a colon stands what, as in `key_restored:ID`. */
function oddity(degraded) {
  const [kind, name] = degraded.split(":");
  const told = texts.degraded[kind] ? kind : "other";
  return { what: t(`degraded.${told}.0`, { name }), todo: t(`degraded.${told}.1`) };
}

function troublesOf(roster, now) {
  const found = [];
  const add = (name, kind, values) =>
    found.push({ name, tone: "warn", what: t(`troubles.${kind}.0`, values), todo: t(`troubles.${kind}.1`, values) });
  for (const [list, each] of Object.entries(roster.lists)) {
    const age = now - Date.parse(each.as_of);
    if (each.as_of && words.isOlder(age, each.rhythm_days)) {
      add(list, "old", { list, age: words.daysOld(age), as_of: words.momentOf(each.as_of), days: words.days(each.rhythm_days) });
    }
  }
  for (const [list, { file, at, why }] of Object.entries(roster.refused ?? {})) {
    add(list || "watch", "refused", { file, why, at: words.momentOf(at) });
  }
  for (const [list, each] of Object.entries(roster.last_loads ?? {})) {
    const open = now - Date.parse(each.began_at) > OPEN_MS;
    if (!each.ended_at && open) add(list, "broken", { list, load: each.load });
  }
  for (const { address, used_bytes, max_bytes } of roster.redis ?? []) {
    if (max_bytes && used_bytes > FULL * max_bytes) {
      add("memory", "memory", { address, share: words.shareOf(used_bytes, max_bytes) });
    }
  }
  for (const { id, host, fresh_as_of } of roster.processes) {
    const age = now - Date.parse(fresh_as_of);
    if (words.isNever(fresh_as_of)) add("process", "never", { id, host });
    else if (age > LATE_MS) add("process", "process", { id, host, age: words.ago(age) });
  }
  return found;
}

function showConditions(conditions) {
  items("conditions", Object.keys(conditions), (item, name) => {
    const text = texts.conditions[name] ? t(`conditions.${name}.0`) : name;
    item.dataset.tone = conditions[name].ok ? "ok" : "bad";
    if (!isWritten(item, [name, text])) item.replaceChildren(text, " ", make("code", {}, name));
  });
}

function showTroubles(told) {
  items("degraded", told, (item, { name, tone, what, todo }) => {
    item.dataset.tone = tone;
    if (isWritten(item, [name, what, todo])) return;
    const remedy = make("p", { class: "todo" }, make("b", {}, t("to_do")), ...rich(todo));
    item.replaceChildren(make("code", {}, name), make("div", {}, make("p", {}, ...rich(what)), remedy));
  });
}

/** Nothing; the list has an item for each of these, and is hidden without any. */
function items(id, all, fill) {
  const list = part(id);
  list.hidden = !all.length;
  resize(list, all.length, () => make("li"));
  all.forEach((each, at) => fill(list.children[at], each));
}
