// The desk: a document's entries and history, and what may be done to them. What is typed goes
// into the body of a request; it is in no address, title or storage, and `leave` wipes it.

import { ask, said } from "./ask.js";
import { make, part, write } from "./dom.js";
import { plural, t, texts } from "./texts.js";
import * as words from "./words.js";

const NEEDS_ISSUER = ["passport", "other"];
const OPS = {
  active: ["remove", "suspend"],
  suspended: ["remove", "resume"],
  absent: ["remove"],
};
const SCOPES = { remove: "list:remove", suspend: "list:remove", resume: "list:add" };
const REASONS = {
  remove: [
    "performed", "settled", "creditor_request", "no_assets", "bankruptcy", "not_enforceable",
    "terminated", "error", "expired", "revoked", "other",
  ],
  suspend: ["dispute", "review", "court_order"],
  resume: ["dispute", "review", "court_order"],
};

let key = "";
let scopes = [];
let changed = () => {};
let found = null;
let searches = 0;
let visits = 0;

/** Nothing; the desk works with this key, which may do that; `onChange` hears of changes. */
export function open(text, allowed, onChange) {
  [key, scopes, changed] = [text, allowed, onChange];
  part("desk").hidden = !allowed.includes("list:read");
}

/** Nothing; nothing of a person is left. */
export function leave() {
  visits += 1;
  part("desk-form").reset();
  part("confirm").close();
  part("confirm-text").replaceChildren();
  choose();
}

/** Nothing; what stood there of one document is not taken for what is typed now. */
function putAway() {
  [found, searches] = [null, searches + 1];
  part("entries").replaceChildren();
  for (const id of ["told", "outcome"]) write(part(id), "");
}

/** Nothing; the desk's form listens. */
export function wire() {
  fillChoices("type", texts.documents);
  fillChoices("kind", texts.kinds);
  part("type").addEventListener("change", choose);
  for (const id of ["issuer", "kind", "number", "name"]) part(id).addEventListener("input", echo);
  part("desk-form").addEventListener("submit", submit);
  part("desk-clear").addEventListener("click", () => {
    leave();
    part("number").focus();
  });
  part("confirm-no").addEventListener("click", () => part("confirm").close());
  addEventListener("pagehide", leave);
  choose();
}

function fillChoices(id, names) {
  part(id).replaceChildren(...Object.entries(names).map(([value, text]) => make("option", { value }, text)));
}

function choose() {
  const type = part("type").value;
  part("issuer-field").hidden = !NEEDS_ISSUER.includes(type);
  part("issuer").required = NEEDS_ISSUER.includes(type);
  part("kind-field").hidden = type !== "other";
  echo();
}

function echo() {
  putAway();
  const number = part("number").value.trim();
  write(part("typed"), number ? t("desk.typed", { number: words.grouped(number) }) : "");
}

function typed() {
  const type = part("type").value;
  const document = { type, number: part("number").value.trim() };
  if (NEEDS_ISSUER.includes(type)) document.issuer = part("issuer").value.trim().toUpperCase();
  if (type === "other") document.kind = part("kind").value;
  return document;
}

function submit(event) {
  event.preventDefault();
  write(part("outcome"), "");
  find(typed(), part("name").value.trim());
}

/** Whether the entries of the document are shown: not if something else is asked meanwhile. */
async function find(document, name) {
  const search = ++searches;
  try {
    const answers = await Promise.all([
      post("/v1/entries/find", name ? { document, name } : { document }),
      post("/v1/entries/history", { document }),
    ]);
    if (search !== searches) return false;
    const refused = answers.find((each) => each.status !== 200);
    if (refused) return tell(refusal(refused));
    const [{ entries, loaded, doubt }, { history }] = answers.map((each) => each.body);
    found = { document, name, entries, loaded, doubt, history };
    show();
    return true;
  } catch (error) {
    return search === searches && tell(said(error));
  }
}

const post = (path, body) => ask(path, { key, body });

function refusal({ status, body }) {
  if (status === 403) return t("desk.forbidden");
  const faults = (body.errors ?? []).map((each) => `${each.field}: ${each.message}`);
  return t("desk.refused", { why: faults.join("; ") || body.detail || body.title || status });
}

/** False; the text stands in the place of entries. */
function tell(text) {
  part("entries").replaceChildren();
  write(part("told"), text, "", "bad");
  return false;
}

function show() {
  const { entries, loaded, doubt, history } = found;
  const none = t("desk.none") + plural("desk.loaded", loaded.length, { count: loaded.length });
  const many = entries.length ? plural("desk.found", entries.length, { count: entries.length }) : none;
  const wrong = doubt && t(`desk.doubt_${doubt.code}`, doubt);
  write(part("told"), wrong || many, wrong ? many : "", wrong ? "bad" : "");
  part("entries").replaceChildren(...entries.map((entry) => entryCard(entry, history)));
}

function entryCard(entry, history) {
  const title = make("h3", {}, `${entry.list} `, make("code", {}, entry.entry_id));
  const state = make("p", { class: `badge ${entry.state}` }, t(`states.${entry.state}`));
  const events = history.filter((each) => each.list === entry.list && each.entry_id === entry.entry_id);
  const gone = entry.state === "absent" ? [make("p", {}, t("desk.absent"))] : [];
  return make("li", { class: "entry" }, make("div", { class: "row" }, title, state), facts(entry), ...gone, actions(entry), past(events));
}

function facts(entry) {
  const from = entry.from ? t("desk.from", { time: words.momentOf(entry.from) }) : "";
  const until = entry.until ? t("desk.until", { time: words.momentOf(entry.until) }) : t("desk.always");
  const ended = ["removed", "absent"].includes(entry.state);
  const told = {
    named: entry.name_check && t(`desk.names.${entry.name_check}`), case: entry.case, court: entry.court, term: ended ? "" : [from, until].filter(Boolean).join(", "),
    reason: reasonOf(entry), decided: moment(entry.decided_at), applied: moment(entry.applied_at), by: byWhom(entry),
  };
  const pairs = Object.entries(told).filter(([, value]) => value);
  return make("dl", { class: "facts" }, ...pairs.map(([name, value]) =>
    make("div", {}, make("dt", {}, t(`desk.${name}`)), make("dd", {}, value))));
}

const moment = (text) => (text ? words.momentOf(text) : "");
const reasonOf = ({ reason }) => (reason ? texts.reasons[reason] ?? reason : "");

function byWhom({ source, actor, state }) {
  const [, load] = /^undo of load (\d+)$/.exec(source === "load" ? actor : "") ?? [];
  if (load) return t(["active", "suspended"].includes(state) ? "desk.put_back" : "desk.by_undo", { load });
  return source ? t(`desk.by_${source}`, { actor }) : "";
}

function past(events) {
  const summary = make("summary", {}, t("desk.history"));
  if (!events.length) return make("details", {}, summary, make("p", { class: "muted" }, t("desk.no_history")));
  const rows = events.map((each) => make("li", {},
    [moment(each.applied_at), t(`ops.${each.op}`), reasonOf(each), byWhom(each)].filter(Boolean).join(" · ")));
  return make("details", {}, summary, make("ol", {}, ...rows));
}

/** A button for each thing that may be done to the entry: none works under another name, or without the right. */
function actions(entry) {
  const row = make("div", { class: "row actions" });
  const mismatch = entry.name_check === "mismatch";
  for (const op of entry.list === "bind" ? [] : OPS[entry.state] ?? []) {
    const scope = entry.list === "lift" ? "list:lift" : SCOPES[op];
    const button = make("button", { type: "button", class: op === "resume" ? "quiet strict" : "quiet" }, t(`op_buttons.${op}`));
    const allowed = scopes.includes(scope) || scopes.includes(`${scope}@${entry.list}`);
    const why = mismatch ? t("desk.other_name") : allowed ? "" : t("desk.no_right", { scope });
    if (why) [button.disabled, button.title] = [true, why];
    else button.addEventListener("click", () => confirm(entry, op));
    row.append(button);
  }
  if (mismatch && row.children.length) row.prepend(make("p", { class: "bad" }, t("desk.other_name")));
  return row;
}

/** Nothing; it is done only once it has been confirmed, with a reason. */
function confirm(entry, op) {
  const { document, name } = found;
  write(part("confirm-title"), t("desk.asked", { op: t(`op_buttons.${op}`) }));
  part("confirm-text").replaceChildren(
    make("p", {}, `${entry.list} `, make("code", {}, entry.entry_id)),
    make("p", {}, t("desk.number_again", { number: words.grouped(document.number) })),
    make("p", {}, [entry.case, entry.court].filter(Boolean).join(", ")),
  );
  const choices = REASONS[op].map((value) => make("option", { value }, texts.reasons[value]));
  part("why").replaceChildren(make("option", { value: "" }, t("desk.choose")), ...choices);
  write(part("confirm-yes"), t("desk.confirm", { op: t(`ops.${op}`) }));
  part("confirm-form").onsubmit = (event) => {
    event.preventDefault();
    part("confirm").close();
    change({ document, name }, entry, op, part("why").value);
  };
  part("confirm").showModal();
}

async function change({ document, name }, { list, entry_id }, op, reason) {
  const [search, visit] = [searches, visits];
  let told;
  try {
    const answer = await post("/v1/changes", { changes: [{ op, list, entry_id, document, reason }] });
    told = outcome(answer, op, `${list} ${entry_id}`);
  } catch (error) {
    told = [`${said(error)} ${t("desk.silent")}`, "bad"];
  }
  changed();
  if (visit !== visits) return; // the desk was cleared meanwhile
  write(part("outcome"), told[0], "", told[1]);
  if (search !== searches) return; // another number is typed
  if ((await find(document, name)) && told[1] === "ok" && op !== "resume") {
    write(part("outcome"), told[0], whatBinds(found.entries), told[1]);
  }
}

/** What is said of a person of whom one entry does not bind any more. */
function whatBinds(entries) {
  const now = Date.now();
  const listed = entries.filter((each) => !["lift", "bind"].includes(each.list) && !(Date.parse(each.until) <= now));
  const binding = listed.filter((each) => each.state === "active");
  const resting = listed.filter((each) => ["suspended", "absent"].includes(each.state));
  const told = [binding.length
    ? plural("desk.binds", binding.length, { count: binding.length, entries: named(binding) })
    : t("desk.nothing_binds")];
  if (resting.length) told.push(t("desk.could_bind", { entries: named(resting) }));
  if (entries.some((each) => each.list === "bind" && each.state === "active")) told.push(t("desk.bound"));
  return told.join(" ");
}

const named = (entries) =>
  entries.map((each) => [each.list, each.entry_id, each.court].filter(Boolean).join(" ")).join("; ");

function outcome(answer, op, entry) {
  if (answer.status !== 200) return [refusal(answer), "bad"];
  const [{ outcome: what, errors = [] }] = answer.body.results;
  if (what === "applied") return [t("desk.done", { op: t(`ops.${op}`), entry }), "ok"];
  const why = errors.map((each) => each.message).join("; ") || t(`outcomes.${what}`);
  return [t("desk.refused", { why }), "bad"];
}
