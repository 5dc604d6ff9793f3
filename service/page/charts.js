// What is drawn over time: checks, their latency, and how long removals take.

import { caption, show } from "./plot.js";
import { t } from "./texts.js";
import * as words from "./words.js";

const HALF_HOUR_MS = 1_800_000;
const LEAST_MS = 120_000; // of a process that has just begun
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const LEGS = { source: "source", service: "service", processes: "everywhere" };
const MARKS = { 1: "ms", 1_000: "s", [HOUR_MS]: "h", [DAY_MS]: "d" };
const LOG_MOST = 7 * DAY_MS;
const COURTS_MS = [DAY_MS, 3 * DAY_MS];

/** Nothing; the charts show the answer of GET /v1/trend, as the server saw it at `now`. */
export function drawTrend({ process, checks, removals }, now) {
  const points = checks.map((each) => ({ ...each, x: Math.min(now, Date.parse(each.at)) }));
  const began = points[0].x - points[0].seconds * 1000;
  const span = [Math.max(now - HALF_HOUR_MS, Math.min(began, now - LEAST_MS)), now];
  const times = points.map(({ x }) => x);
  const rates = points.map(({ checks: count, seconds }) => (seconds > 1 ? count / seconds : null));
  show("chart-rate", overTime(span, times, [{ tone: "accent", values: rates, least: 1 }], words.perSecond));
  const quantiles = ["p50", "p99"].map((name) =>
    ({ name, tone: { p50: "service", p99: "source" }[name], values: points.map((each) => each[`${name}_ms`]) }));
  show("chart-latency", overTime(span, times, quantiles, (value) => String(Number(value.toFixed(2)))));
  caption("chart-process", [[t("checks.process", { id: process })]]);
  show("chart-lag", removalLag(removals, now));
}

function overTime(span, times, lines, text) {
  return {
    span,
    data: [times, ...lines.map(({ values }) => values)],
    tones: lines.map(({ tone }) => tone),
    timeText: words.minuteOf,
    y: { text, range: (_, high) => [0, Math.max(high || 1, lines[0].least ?? 0) * 1.1] },
    told: (at) => told(lines, text, at === null ? null : [at, words.clockOf(times[at])]),
  };
}

/** What the lines are at a place and time, else last and at most. */
function told(lines, text, place) {
  const known = lines.map((each) => ({ ...each, there: each.values.filter((value) => value !== null) }));
  if (!known.some(({ there }) => there.length)) return [[t("checks.none")]];
  const [at, time] = place ?? [];
  const said = known.map(({ name = "", tone, values, there }) => {
    const value = place ? values[at] : there.at(-1);
    const most = place || !there.length ? "" : `, ${t("checks.most", { value: text(Math.max(...there)) })}`;
    return [`${name} ${value === null || value === undefined ? "–" : text(value)}${most}`.trim(), tone];
  });
  return place ? [[time], ...said] : said;
}

/** Each hour is a level line, from its begin to its end; one without removals is a gap. */
function removalLag(removals, now) {
  const end = Math.ceil(now / HOUR_MS) * HOUR_MS;
  const known = new Map(removals.map((each) => [Date.parse(each.hour), each]));
  const begins = Array.from({ length: DAY_MS / HOUR_MS }, (_, at) => end - DAY_MS + at * HOUR_MS);
  const level = (leg) => begins.flatMap((begin) => Array(2).fill(medianOf(known.get(begin)?.[leg])));
  return {
    span: [end - DAY_MS, end],
    data: [begins.flatMap((begin) => [begin, begin + HOUR_MS - 1]), ...Object.keys(LEGS).map(level)],
    tones: Object.values(LEGS),
    timeText: words.hourOf,
    band: COURTS_MS,
    y: {
      scale: { distr: 3, log: 10 },
      range: () => [1, LOG_MOST],
      marks: Object.keys(MARKS).map(Number),
      text: (ms) => `1 ${t(`units.${MARKS[ms]}`)}`,
    },
    told: (at) => (at === null ? hourTold(removals.at(-1))
      : [[words.hourOf(begins[at >> 1])], ...hourTold(known.get(begins[at >> 1]))]),
  };
}

/** On a scale of powers nothing lies below one. */
const medianOf = (lag) => (lag?.count ? Math.max(1, lag.p50) : null);

function hourTold(hour) {
  const there = Object.keys(LEGS).filter((leg) => hour?.[leg].count);
  if (!there.length) return [[t("lag.none")]];
  return there.map((leg) => [t("lag.point", { leg: t(`lag.${leg}.0`), time: words.duration(hour[leg].p50) }), leg]);
}
