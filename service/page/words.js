// Names, figures and times, told in words. Nothing here touches the page.

const whole = new Intl.NumberFormat("en");
const share = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const rate = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const CONDITIONS = {
  serving: "takes requests",
  loaded: "filters loaded",
  key: "ID key fits the roster",
  covered: "required lists fully loaded",
  lists: "disabled lists known",
  news: "hears from Redis",
};

export const DEGRADED = {
  stale: "No recent news from Redis. Answers say so, and whoever the filters do not clear is referred.",
  rewound: "Redis is behind what was known before, as after a restored backup. Nobody is denied there until newer full loads of every list or “clearway accept”.",
  unremembered: "Nothing is remembered of this roster: a backup that was restored before the start cannot be noticed.",
  key_restored: "An API key that had ended has come back with a backup. It is refused here: end it again.",
  list_restored: "A disabled list has come back enabled with a backup. It refers here: disable it again.",
  list_disabled: "A list is disabled. Its matches are referred.",
  durability: "A change that was acknowledged can be lost when a Redis server fails.",
  replicas: "Redis has fewer replicas than every change has to reach.",
  memory_policy: "Redis may evict entries: its maxmemory-policy is not noeviction.",
  memory: "Redis' memory is full: it refuses additions and full loads.",
  listpack: "Redis needs more memory than it should: its hash-max-listpack settings are too small.",
  version: "The Redis server is older than 7.0.",
  unknown: "The Redis servers have not been looked at yet.",
};

export const number = (value) => whole.format(value);
export const shareOf = (part, all) => (all ? share.format(part / all) : "");
export const rateOf = (value) => rate.format(value);
export const clockOf = (ms) => clock.format(ms);
export const momentOf = (text) => moment.format(Date.parse(text));
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** "0.4 ms", "850 ms", "12.5 s", "4 min 10 s", "3 h 5 min", "2 d 4 h" */
export function duration(ms) {
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${Number((ms / 1000).toFixed(1))} s`;
  const s = Math.round(ms / 1000);
  if (s < 3600) return parts(Math.floor(s / 60), "min", s % 60, "s");
  const min = Math.round(s / 60);
  if (min < 1440) return parts(Math.floor(min / 60), "h", min % 60, "min");
  const h = Math.round(min / 60);
  return parts(Math.floor(h / 24), "d", h % 24, "h");
}

/** How long ago, in one unit: it is read at a glance. */
export function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 1) return "now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ago`;
  return `${number(Math.floor(s / 86_400))} days ago`;
}

export const perSecond = (value) =>
  value < 10 ? String(Number(value.toFixed(1))) : number(Math.round(value));

/** The ends of a long text: positions begin alike. */
export const short = (text) =>
  text.length <= 24 ? text : `${text.slice(0, 10)}…${text.slice(-10)}`;

function parts(big, bigUnit, small, smallUnit) {
  return small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`;
}
