// A chart by uPlot in its figure: as wide as its place, in the page's colours as they are now. What it
// shows stands in words in its caption, too: the latest, or what lies under the pointer.

import { isWritten, make, part } from "./dom.js";

const uPlot = globalThis.uPlot; // no module: a script of its own before this one
const STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 180, 360, 720, 1440].map((minutes) => 60_000 * minutes);
const shown = new Map();

/** Nothing; the figure shows this chart: `data` as uPlot takes them (times in ms, then each line), the
 * `tones` of the lines, the `span` of time, the range and marks of `y`, a `band` of it, how times and
 * values are written, and `told`, which says what to write of a place in the data, or of none. */
export function show(id, chart) {
  const known = shown.get(id);
  const mine = known ?? { id, at: null, drawn: null, place: part(id).querySelector(".plot") };
  mine.chart = chart;
  if (!known) {
    shown.set(id, mine);
    new ResizeObserver(() => fit(mine)).observe(mine.place);
  }
  if (mine.drawn) mine.drawn.setData(chart.data);
  else fit(mine);
  tell(mine);
}

/** Nothing; the caption tells these texts, each beside the colour of its line. */
export function caption(id, told) {
  const element = document.querySelector(`#${id} .told`) ?? part(id);
  if (isWritten(element, told)) return;
  element.replaceChildren(...told.map(([text, tone]) =>
    make("span", {}, ...(tone ? [make("i", { class: `swatch ${tone}` })] : []), text)));
}

function tell(mine) {
  caption(mine.id, mine.chart.told(mine.at));
}

/** A hidden chart has no width: it is drawn once it is seen. */
function fit(mine) {
  const size = { width: mine.place.clientWidth, height: mine.place.clientHeight };
  if (!size.width) return;
  if (!mine.drawn) mine.drawn = new uPlot(options(mine, size), mine.chart.data, mine.place);
  else if (size.width !== mine.drawn.width || size.height !== mine.drawn.height) mine.drawn.setSize(size);
}

function options(mine, size) {
  const { tones, y } = mine.chart;
  return {
    ...size,
    ms: 1,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { range: () => mine.chart.span }, y: { ...y.scale, range: (_, low, high) => mine.chart.y.range(low, high) } },
    series: [{}, ...tones.map(line)],
    axes: [across(mine), upwards(mine)],
    hooks: {
      drawClear: [(drawn) => band(drawn, mine.chart.band)],
      setCursor: [(drawn) => point(mine, drawn.cursor.idx)],
    },
  };
}

function line(tone) {
  const stroke = () => colour(tone);
  return { stroke, width: 2, points: { show: false, filter: alone, size: 5, fill: stroke } };
}

/** The places of values that have nothing beside them: no line goes there. */
function alone({ data }, series) {
  const values = data[series];
  const isThere = (at) => values[at] !== null && values[at] !== undefined;
  return values.flatMap((_, at) => (isThere(at) && !isThere(at - 1) && !isThere(at + 1) ? [at] : []));
}

function across(mine) {
  return {
    ...looks(),
    size: 28,
    space: 80,
    incrs: STEPS_MS,
    grid: { show: false },
    values: (_, times) => times.map((ms) => mine.chart.timeText(ms)),
  };
}

function upwards(mine) {
  const { marks } = mine.chart.y;
  const own = marks && { splits: () => marks, filter: (_, values) => values };
  return {
    ...looks(),
    ...own,
    size: 56,
    space: 28,
    ticks: { show: false },
    values: (_, values) => values.map((value) => mine.chart.y.text(value)),
  };
}

function looks() {
  const lines = { stroke: () => colour("line"), width: 1 };
  return { stroke: () => colour("muted"), font: `12px ${getComputedStyle(document.body).fontFamily}`, grid: lines, ticks: { ...lines, size: 4 } };
}

function band({ ctx, bbox, valToPos }, range) {
  if (!range) return;
  const [low, high] = range.map((value) => valToPos(value, "y", true));
  ctx.fillStyle = colour("band");
  ctx.fillRect(bbox.left, high, bbox.width, low - high);
}

function point(mine, at) {
  mine.at = at ?? null;
  tell(mine);
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const { drawn } of shown.values()) drawn?.redraw();
});
