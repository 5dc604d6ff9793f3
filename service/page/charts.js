// Lines over time, as SVG. What they show stands in words in their captions, too.

import { isWritten, make, part } from "./dom.js";
import { t } from "./texts.js";
import * as words from "./words.js";

const SPACE = "http://www.w3.org/2000/svg";
const HALF_HOUR_MS = 1_800_000;
const LEAST_MS = 120_000; // of a process that has just begun
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const DOT = "h.5"; // a point alone is seen, too
const LEGS = ["source", "service", "processes"];
const LOG_TICKS = [[1, "ms"], [1_000, "s"], [HOUR_MS, "h"], [DAY_MS, "d"]];
const LOG_MOST = 7 * DAY_MS;
const COURTS_MS = [DAY_MS, 3 * DAY_MS];

/** Nothing; the charts show the answer of GET /v1/trend, as the server saw it at `now`. */
export function drawTrend({ process, checks, removals }, now) {
  const points = checks.map((each) => ({ ...each, x: Date.parse(each.at) }));
  const over = (value) => points.map((each) => [each.x, value(each)]);
  const rates = over(({ checks: count, seconds }) => (seconds > 1 ? count / seconds : null));
  const began = points[0].x - points[0].seconds * 1000;
  const span = { from: Math.max(now - HALF_HOUR_MS, Math.min(began, now - LEAST_MS)), to: now };
  lines("chart-rate", span, [{ tone: "accent", name: "", points: rates }], words.perSecond);
  const quantile = (name) => ({ tone: { p50: "service", p99: "source" }[name], name, points: over((each) => each[`${name}_ms`]) });
  lines("chart-latency", span, [quantile("p50"), quantile("p99")], (value) => String(Number(value.toFixed(2))));
  caption("chart-process", [[t("checks.process", { id: process })]]);
  drawRemovals(removals, now);
}

function lines(id, span, series, format) {
  const values = series.flatMap((each) => each.points.map(([, y]) => y)).filter((y) => y !== null);
  const most = ceiling(Math.max(0, ...values));
  const scale = (y) => y / most;
  const shapes = series.map((each) => line(each.tone, each.points, span, scale));
  draw(id, shapes, [[0, "0"], [1, format(most)]], [span.from, span.to].map(words.minuteOf));
  const told = series.map(({ name, tone, points }) => {
    const known = points.filter(([, y]) => y !== null);
    if (!known.length) return [`${name} –`, tone];
    const value = format(known.at(-1)[1]);
    const top = t("checks.most", { value: format(Math.max(...known.map(([, y]) => y))) });
    return [`${name} ${value}, ${top}`.trim(), tone];
  });
  caption(id, values.length ? told : [[t("checks.none")]]);
}

/** A path through the points; where nothing is known it is broken. */
function line(tone, points, { from, to }, scale) {
  let pen = "M";
  let path = "";
  for (const [x, y] of points) {
    if (y === null || x < from) {
      pen = "M";
      continue;
    }
    // The answer's time is in whole seconds: the newest point may lie behind it.
    path += `${pen}${percent(Math.min(1, (x - from) / (to - from)))} ${percent(1 - scale(y))}${pen === "M" ? DOT : ""}`;
    pen = "L";
  }
  return ["path", { class: `line ${tone}`, d: path }];
}

function drawRemovals(hours, now) {
  const end = Math.ceil(now / HOUR_MS) * HOUR_MS;
  const scale = (ms) => Math.min(1, Math.log(Math.max(ms, 1)) / Math.log(LOG_MOST));
  const [low, high] = COURTS_MS.map(scale);
  const band = ["rect", { class: "band", x: 0, width: 100, y: percent(1 - high), height: percent(high - low) }];
  const steps = LEGS.map((leg) => {
    const kept = hours.filter((each) => each[leg].count);
    const path = kept.map((each) => {
      const x = 1 - (end - Date.parse(each.hour)) / DAY_MS;
      return `M${percent(x)} ${percent(1 - scale(each[leg].p50))}h${percent(1 / 24)}`;
    });
    return ["path", { class: `line ${leg}`, d: path.join("") }];
  });
  const marks = LOG_TICKS.map(([ms, unit]) => [scale(ms), `1 ${t(`units.${unit}`)}`]);
  draw("chart-lag", [band, ...steps], marks, [end - DAY_MS, end].map(words.hourOf));
  const last = hours.at(-1);
  const told = LEGS.filter((leg) => last?.[leg].count).map((leg) =>
    [t("lag.point", { leg: t(`lag.${leg}.0`), time: words.duration(last[leg].p50) }), leg]);
  caption("chart-lag", told.length ? told : [[t("lag.none")]]);
}

/** Nothing; the chart has these shapes, these marks on its left side, from 0 to 1, and these
 * times at its ends. */
function draw(id, shapes, marks, ends) {
  const element = part(id);
  if (isWritten(element, [shapes, marks, ends])) return;
  const picture = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const [at] of marks) picture.append(svg("path", { class: "grid", d: `M0 ${percent(1 - at)}H100` }));
  for (const [name, attributes] of shapes) picture.append(svg(name, attributes));
  const labels = marks.map(([at, text]) => {
    const label = make("span", { class: "mark" }, text);
    label.style.setProperty("--at", `${percent(at)}%`);
    return label;
  });
  const span = make("p", { class: "span" }, ...ends.map((text) => make("span", {}, text)));
  element.querySelector(".plot").replaceChildren(picture, ...labels, span);
}

/** Nothing; the caption tells these texts, each beside the colour of its line. */
function caption(id, told) {
  const element = document.querySelector(`#${id} .told`) ?? part(id);
  if (isWritten(element, told)) return;
  element.replaceChildren(...told.map(([text, tone]) =>
    make("span", {}, ...(tone ? [make("i", { class: `swatch ${tone}` })] : []), text)));
}

function svg(name, attributes) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** The next of 1, 2, 5, 10, 20, … */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}

const percent = (share) => Number((share * 100).toFixed(2));
