// Figures and times, told in words. Nothing here touches the page.

import { locale, plural, t } from "./texts.js";

const whole = new Intl.NumberFormat(locale);
const share = new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const rate = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 3 });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const minute = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const hour = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export const number = (value) => whole.format(value);
export const shareOf = (part, all) => (all ? share.format(part / all) : "");
export const rateOf = (value) => rate.format(value);
export const clockOf = (ms) => clock.format(ms);
export const minuteOf = (ms) => minute.format(ms);
export const hourOf = (ms) => hour.format(ms);
export const momentOf = (text) => moment.format(Date.parse(text));
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
export const days = (count) => plural("days_old", count, { n: number(count) });
/** Below two days in hours: a day and two hours is more than a day. */
export const daysOld = (ms) =>
  ms < 2 * DAY_MS ? t("hours_old", { n: Math.floor(ms / HOUR_MS) }) : days(Math.floor(ms / DAY_MS));
/** A process that has never been fresh says the first moment of 1970. */
export const isNever = (text) => Date.parse(text) < DAY_MS;
export const isOlder = (ms, days) => days > 0 && ms > days * DAY_MS;

/** "0.4 ms", "850 ms", "12.5 s", "4 min 10 s", "3 h 5 min", "2 d 4 h" */
export function duration(ms) {
  if (ms < 10) return unit(Number(ms.toFixed(1)), "ms");
  if (ms < 999.5) return unit(Math.round(ms), "ms");
  if (ms < 59_950) return unit(Number((ms / 1000).toFixed(1)), "s");
  const s = Math.round(ms / 1000);
  if (s < 3600) return parts(s, 60, "min", "s");
  const min = Math.round(s / 60);
  if (min < 1440) return parts(min, 60, "h", "min");
  return parts(Math.round(min / 60), 24, "d", "h");
}

/** How long ago, in one unit: it is read at a glance. */
export function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 1) return t("ago.now");
  if (s < 60) return t("ago.s", { n: s });
  if (s < 3600) return t("ago.min", { n: Math.floor(s / 60) });
  if (s < 48 * 3600) return t("ago.h", { n: Math.floor(s / 3600) });
  return t("ago.d", { n: number(Math.floor(s / 86_400)) });
}

/** "512 B", "1.4 GiB" */
export function bytes(value) {
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), SIZES.length - 1);
  const shown = value / 1024 ** power;
  return `${Number(shown.toFixed(shown < 10 && power ? 1 : 0))} ${SIZES[power]}`;
}

export const perSecond = (value) =>
  value < 10 ? String(Number(value.toFixed(1))) : number(Math.round(value));

/** The ends of a long text: positions begin alike. */
export const short = (text) =>
  text.length <= 24 ? text : `${text.slice(0, 10)}…${text.slice(-10)}`;

/** A number in groups, so that it can be compared: 6, 4 and 4 of an ID number, else fours. */
export function grouped(text) {
  const plain = text.replace(/[\s-]/g, "");
  if (/^\d{17}[\dXx]$/.test(plain)) return plain.replace(/^(.{6})(.{4})(.{4})/, "$1 $2 $3 ");
  return plain.replace(/(.{4})(?=.)/g, "$1 ");
}

const unit = (value, name) => `${value} ${t(`units.${name}`)}`;

function parts(value, size, big, small) {
  const rest = value % size;
  return unit(Math.floor(value / size), big) + (rest ? ` ${unit(rest, small)}` : "");
}
