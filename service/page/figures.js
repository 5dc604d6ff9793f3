// The answer of GET /v1/roster, drawn.

import { part, resize, make, table, write } from "./dom.js";
import { LATE_MS } from "./status.js";
import { plural, t, texts } from "./texts.js";
import * as words from "./words.js";

const LEGS = ["source", "service", "processes"];
const RATE_MS = 10_000;
const DAY_MS = 86_400_000;
const SCALE_MS = [1, 7 * DAY_MS];
const TICKS = [[1, "ms"], [1_000, "s"], [60_000, "min"], [3_600_000, "h"], [DAY_MS, "d"], [7 * DAY_MS, "d", 7]];
const TABLES = ["lists", "loads", "decisions", "lag", "late", "processes", "redis"];

let samples = [];

/** Nothing; every figure is that of this roster, as the server saw it at `now`. */
export function draw(roster, now) {
  counts(roster);
  table("lists", Object.entries(roster.lists).map(([name, each]) => listRow(name, each, now)));
  loads(roster, now);
  decisions(roster.decisions, now);
  lag(roster.removal_lag_ms);
  late(roster.late_denials);
  const processes = [...roster.processes].sort((a, b) => label(a).localeCompare(label(b)));
  table("processes", processes.map((each) => processRow(each, now)));
  table("redis", (roster.redis ?? []).map(serverRow));
  write(part("digest"), roster.digest);
  write(part("position"), words.short(roster.position) || t("proof.never"));
  part("copy").dataset.text = roster.position;
  part("copy").hidden = !roster.position || !navigator.clipboard;
}

/** Nothing; no figure of an earlier roster or key is left. */
export function clear() {
  samples = [];
  for (const id of TABLES) table(id, []);
  for (const id of ["removals", "rate", "digest", "position"]) write(part(id), "");
  part("counts").replaceChildren();
  delete part("copy").dataset.text;
}

function counts({ people, entries, ever_listed: ever }) {
  const told = { people, ...entries, ever };
  const names = ["people", "active", "suspended", "removed", "absent", "ever"];
  const element = part("counts");
  resize(element, names.length, () => make("div", {}, make("dt"), make("dd")));
  names.forEach((name, at) => {
    write(element.children[at].children[0], t(`people.${name}`));
    write(element.children[at].children[1], words.number(told[name]));
  });
}

function listRow(name, list, now) {
  return {
    tone: list.covered || list.active || list.disabled ? "" : "muted",
    cells: [
      [name, texts.titles[list.title] ?? list.title],
      [words.number(list.people)],
      [words.number(list.active)],
      [words.number(list.suspended)],
      asOf(list, now),
      when(list.last_removed_at, now),
      listState(list),
    ],
  };
}

function listState(list) {
  const covered = t(list.covered ? "lists.covered" : "lists.uncovered");
  return list.disabled ? [t("lists.disabled"), t("lists.disabled_more", { covered }), "warn"] : [covered];
}

function asOf(list, now) {
  const age = now - Date.parse(list.as_of);
  const [text, told] = when(list.as_of, now);
  const old = list.as_of && words.isOlder(age, list.rhythm_days);
  return old ? [text, t("lists.old", { age: told }), "bad"] : [text, told];
}

function when(text, now) {
  return text ? [words.momentOf(text), words.ago(now - Date.parse(text))] : ["–"];
}

function loads({ lists, last_loads: last = {} }, now) {
  const loaded = Object.keys(lists).filter((name) => last[name]);
  table("loads", loaded.map((name) => loadRow(name, last[name], now)));
  part("loads").hidden = !loaded.length;
  part("no-loads").hidden = Boolean(loaded.length);
}

function loadRow(name, load, now) {
  const took = load.ended_at && words.duration(Date.parse(load.ended_at) - Date.parse(load.began_at));
  const kind = t(`loads.kind_${load.kind === "load" && load.partial ? "partial" : load.kind}`);
  const done = took ? t("loads.took", { time: took }) : t("loads.open");
  const undone = load.undone_by ? `, ${t("loads.undone", { load: load.undone_by })}` : "";
  return {
    cells: [
      [name, `${kind} ${load.load}${undone}`],
      [words.momentOf(load.began_at), `${words.ago(now - Date.parse(load.began_at))}, ${done}`, took ? "" : "warn"],
      [load.who ?? "–"],
      [load.files.join(", "), load.as_of ? `${t("lists.as_of")} ${words.momentOf(load.as_of)}` : ""],
      ...["added", "changed", "ended"].map((what) => [words.number(load[what])]),
      rejected(load),
    ],
  };
}

/** How many rows were rejected, why, and where that is written. */
function rejected({ rejected: reasons, rejects_file: path, who }) {
  const all = Object.values(reasons).reduce((sum, each) => sum + each, 0);
  if (!all) return ["0"];
  const why = Object.entries(reasons).map(([reason, count]) => `${reason} ${words.number(count)}`);
  const where = (who ?? "").split("@").at(-1);
  const lie = path ? [t("loads.lie", { path, where })] : [];
  return [words.number(all), [...why, ...lie].join("; "), "warn"];
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
  return { cells: [[t(`decisions.${mode}`)], cell(allow), cell(deny), cell(refer)] };
}

function rate(total, now) {
  samples = [...samples.filter((each) => now - each.now <= RATE_MS && each.total <= total), { total, now }];
  const [first] = samples;
  const passed_s = (now - first.now) / 1000;
  const rate = passed_s && words.perSecond((total - first.total) / passed_s);
  const lately = passed_s ? t("decisions.lately", { rate }) : "";
  write(part("rate"), plural("decisions.checks", total, { count: words.number(total) }) + lately);
}

/** Of removals that came by themselves; a load brings many at once, and says when. */
function lag({ changes, loads: loaded, processes }) {
  const told = { ...changes, processes };
  const more = loaded.count ? t("lag.more", { count: words.number(loaded.count) }) : "";
  write(part("removals"), plural("lag.removals", told.count, { count: words.number(told.count) }) + more);
  const legs = LEGS.filter((leg) => told[leg]);
  table("lag", legs.map((leg) => lagRow(leg, told[leg])));
  part("scale").hidden = !legs.some((leg) => told[leg].max);
  for (const leg of legs) track(leg, told[leg]);
  part("courts").style.setProperty("--from", place(DAY_MS));
  part("courts").style.setProperty("--to", place(3 * DAY_MS));
  axis();
}

/** A leg without any removal is all zero; a measured lag never is. */
function lagRow(leg, { p50, p99, max }) {
  const cell = (ms) => [max ? words.duration(ms) : "–"];
  return { cells: [texts.lag[leg], cell(p50), cell(p99), cell(max)] };
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
  resize(element, TICKS.length, () => make("span"));
  TICKS.forEach(([ms, unit, count = 1], at) => {
    write(element.children[at], `${count} ${t(`units.${unit}`)}`);
    element.children[at].style.setProperty("--at", place(ms));
  });
}

function late(lists) {
  const rows = Object.entries(lists ?? {}).flatMap(([list, courts]) =>
    Object.entries(courts).map(([court, count]) => [list, court, count]));
  rows.sort((a, b) => b[2] - a[2]);
  table("late", rows.map(([list, court, count]) => ({
    cells: [[list], [court || t("late.no_court")], [words.number(count)]],
  })));
  part("late").hidden = !rows.length;
  part("no-late").hidden = Boolean(rows.length);
}

/** Redis tells them in no order; a row must not jump while it is read. */
const label = (process) => `${process.host} ${process.id}`;

function processRow(process, now) {
  const age = now - Date.parse(process.fresh_as_of);
  const late = age > LATE_MS;
  const fresh = words.isNever(process.fresh_as_of) ? [t("processes.never"), "", "warn"]
    : [words.clockOf(Date.parse(process.fresh_as_of)), late ? t("processes.late", { age: words.ago(age) }) : words.ago(age), late ? "warn" : ""];
  return {
    cells: [
      [process.id, process.build],
      [process.host],
      [words.duration(process.lag_ms)],
      fresh,
      [words.rateOf(process.false_hit_rate)],
    ],
  };
}

function serverRow({ address, kind, version, used_bytes: used, max_bytes: most, aof_bytes: aof, replicas }) {
  const share = words.shareOf(used, most);
  const limit = most ? t("redis.of", { most: words.bytes(most), share }) : t("redis.unlimited");
  return {
    cells: [
      [address],
      [`${kind === "valkey" ? "Valkey" : "Redis"} ${version}`],
      [words.bytes(used), limit, most && used > 0.9 * most ? "warn" : ""],
      [aof ? words.bytes(aof) : t("redis.none")],
      [words.number(replicas)],
    ],
  };
}
