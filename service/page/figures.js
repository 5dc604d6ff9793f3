// The answer of GET /v1/roster, drawn. What has not changed is not touched, so that a
// selection, or the place where a screen reader reads, survives.

import * as words from "./words.js";

const LEGS = {
  source: ["Source", "from its decision to the effect"],
  service: ["Service", "from our receipt to the effect"],
};
const LATE_MS = 5_000;
const RATE_MS = 10_000;
const SCALE_MS = [1, 86_400_000];
const TICKS = { "1 ms": 1, "1 s": 1_000, "1 min": 60_000, "1 h": 3_600_000, "1 d": 86_400_000 };

const written = new WeakMap();
let samples = [];

export const part = (id) => document.getElementById(id);

/** Nothing; the element has this text, a detail below it, and a tone. */
export function write(element, main, detail = "", tone = "") {
  const now = JSON.stringify([main, detail, tone]);
  if (written.get(element) === now) return;
  written.set(element, now);
  const text = document.createElement("span");
  text.append(main);
  text.className = tone;
  if (detail) {
    const small = document.createElement("small");
    small.append(detail);
    text.append(small);
  }
  element.replaceChildren(text);
}

/** Nothing; the list or table body has so many children, made by `make`. */
export function resize(element, count, make) {
  while (element.children.length < count) element.append(make());
  while (element.children.length > count) element.lastElementChild.remove();
}

/** Nothing; every figure is that of this roster, as the server saw it at `now`. */
export function draw(roster, now) {
  counts(roster);
  table("lists", Object.entries(roster.lists).map(([name, each]) => listRow(name, each, now)));
  decisions(roster.decisions, now);
  lag(roster.removal_lag_ms);
  const processes = [...roster.processes].sort((a, b) => label(a).localeCompare(label(b)));
  table("processes", processes.map((each) => processRow(each, now)));
  write(part("digest"), roster.digest);
  write(part("position"), words.short(roster.position) || "nothing was ever written");
  part("copy").dataset.text = roster.position;
  part("copy").hidden = !roster.position || !navigator.clipboard;
}

/** Nothing; no figure of an earlier roster or key is left. */
export function clear() {
  samples = [];
  for (const id of ["lists", "decisions", "lag", "processes"]) table(id, []);
  for (const id of ["removals", "rate", "digest", "position"]) write(part(id), "");
  part("counts").replaceChildren();
  delete part("copy").dataset.text;
}

function counts(roster) {
  const { entries } = roster;
  const told = {
    "People restricted": roster.people,
    "Active entries": entries.active,
    Suspended: entries.suspended,
    Removed: entries.removed,
    Absent: entries.absent,
    "Ever listed": roster.ever_listed,
  };
  const element = part("counts");
  resize(element, Object.keys(told).length, () => {
    const pair = document.createElement("div");
    pair.append(document.createElement("dt"), document.createElement("dd"));
    return pair;
  });
  Object.entries(told).forEach(([name, value], at) => {
    write(element.children[at].children[0], name);
    write(element.children[at].children[1], words.number(value));
  });
}

function listRow(name, list, now) {
  return {
    tone: list.covered || list.active || list.disabled ? "" : "muted",
    cells: [
      [name],
      [words.number(list.people)],
      [words.number(list.active)],
      [words.number(list.suspended)],
      when(list.as_of, now),
      when(list.last_removed_at, now),
      listState(list),
    ],
  };
}

function listState(list) {
  const covered = list.covered ? "covered" : "not covered";
  if (list.disabled) return ["disabled", `${covered}; its matches are referred`, "warn"];
  return [covered];
}

function when(text, now) {
  return text ? [words.momentOf(text), words.ago(now - Date.parse(text))] : ["–"];
}

function decisions(modes, now) {
  const rows = Object.entries(modes);
  const sum = (name) => rows.reduce((total, [, each]) => total + each[name], 0);
  rows.push(["all", { allow: sum("allow"), deny: sum("deny"), refer: sum("refer") }]);
  table("decisions", rows.map(([mode, each]) => decisionRow(mode, each)));
  const all = rows.at(-1)[1];
  rate(all.allow + all.deny + all.refer, now);
}

function decisionRow(mode, { allow, deny, refer }) {
  const all = allow + deny + refer;
  const cell = (count) => [words.number(count), words.shareOf(count, all)];
  return { cells: [[mode], cell(allow), cell(deny), cell(refer)] };
}

function rate(total, now) {
  samples = [...samples.filter((each) => now - each.now <= RATE_MS && each.total <= total), { total, now }];
  const [first] = samples;
  const passed_s = (now - first.now) / 1000;
  const told = passed_s ? `; ${words.perSecond((total - first.total) / passed_s)} a second lately` : "";
  write(part("rate"), `${words.number(total)} checks${told}`);
}

/** Of removals that came by themselves; a load brings many at once, and says when. */
function lag({ changes: told, loads }) {
  const count = words.number(told.count);
  const more = loads.count ? `; loads have brought ${words.number(loads.count)} more` : "";
  write(part("removals"), `${count} ${told.count === 1 ? "removal" : "removals"} took effect in the last 24 hours${more}`);
  table("lag", Object.keys(LEGS).map((leg) => lagRow(leg, told[leg])));
  part("scale").hidden = !Object.keys(LEGS).some((leg) => told[leg].max);
  for (const leg of Object.keys(LEGS)) track(leg, told[leg]);
  axis();
}

/** A leg without any removal is all zero; a measured lag never is. */
function lagRow(leg, { p50, p99, max }) {
  const cell = (ms) => [max ? words.duration(ms) : "–"];
  return { cells: [LEGS[leg], cell(p50), cell(p99), cell(max)] };
}

function track(leg, { p50, p99, max }) {
  const element = document.querySelector(`.track.${leg}`);
  for (const child of element.children) child.hidden = !max;
  element.style.setProperty("--from", place(p50));
  element.style.setProperty("--mark", place(p99));
  element.style.setProperty("--to", place(max));
}

function place(ms) {
  const [least, most] = SCALE_MS.map(Math.log);
  const at = (Math.log(Math.max(ms, SCALE_MS[0])) - least) / (most - least);
  return `${Math.min(at, 1) * 100}%`;
}

function axis() {
  const element = document.querySelector(".axis");
  resize(element, Object.keys(TICKS).length, () => document.createElement("span"));
  Object.entries(TICKS).forEach(([name, ms], at) => {
    write(element.children[at], name);
    element.children[at].style.setProperty("--at", place(ms));
  });
}

/** Redis tells them in no order; a row must not jump while it is read. */
const label = (process) => `${process.host} ${process.id}`;

function processRow(process, now) {
  const age = now - Date.parse(process.fresh_as_of);
  const late = age > LATE_MS;
  return {
    cells: [
      [process.id],
      [process.host],
      [words.duration(process.lag_ms)],
      [words.clockOf(Date.parse(process.fresh_as_of)), words.ago(age) + (late ? ", late" : ""), late ? "warn" : ""],
      [words.rateOf(process.false_hit_rate)],
    ],
  };
}

/** Roles are spelled: on a narrow screen the rows are no table to CSS. */
function table(id, rows) {
  const element = part(id);
  const heads = [...element.tHead.rows[0].cells].map((head) => head.textContent);
  const [body] = element.tBodies;
  resize(body, rows.length, () => emptyRow(heads));
  rows.forEach((row, at) => {
    body.rows[at].dataset.tone = row.tone ?? "";
    row.cells.forEach((cell, column) => write(body.rows[at].cells[column], ...cell));
  });
}

function emptyRow(heads) {
  const row = document.createElement("tr");
  row.setAttribute("role", "row");
  heads.forEach((label, at) => {
    const cell = document.createElement(at ? "td" : "th");
    cell.setAttribute("role", at ? "cell" : "rowheader");
    if (!at) cell.scope = "row";
    cell.dataset.label = label;
    row.append(cell);
  });
  return row;
}
