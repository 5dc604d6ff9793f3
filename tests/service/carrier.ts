// What a carrier writes over the client that openapi-generator makes: the courts list somebody, a
// check, a batch, a page of the feed, a fault. It prints what it understood, as JSON.

import {
  ChangesApi, ChecksApi, Configuration, Decision, Document, FieldError, ProblemFromJSON, ResponseError,
} from "./client/index";

declare const process: { env: { [name: string]: string } };

const { BASE, COURT, CARRIER, LISTED, FREE } = process.env;
const as = (key: string) => new Configuration({ basePath: BASE, accessToken: key });
const court = new ChangesApi(as(COURT));
const checks = new ChecksApi(as(CARRIER));
const feed = new ChangesApi(as(CARRIER));
const card = (number: string): Document => ({ type: "resident_id", number });

function sell(decision: Decision): boolean {
  switch (decision) {
    case "allow": return true;
    case "deny": return false;
    case "refer": return false;
  }
}

async function faults(call: Promise<unknown>): Promise<FieldError[]> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ResponseError) {
      return ProblemFromJSON(await error.response.json()).errors ?? [];
    }
    throw error;
  }
  return [];
}

async function main(): Promise<void> {
  const listed = await court.applyChanges({ changesShape: { wait: "all", changes: [{
    op: "put", list: "sx", entryId: "e/1", revision: 1514764800000, document: card(LISTED), entry: { _case: "c/1" },
  }] } });
  const denied = await checks.check({ check: {
    document: card(LISTED), journey: { mode: "rail", train: "D101", seat: ["O", "9"] },
    atLeast: listed.position, reference: "PNR-7",
  } });
  const batch = await checks.checkBatch({ batchShape: {
    journey: { mode: "air" }, items: [{ document: card(LISTED) }, { document: card(FREE) }],
  } });
  const page = await feed.readChanges({ limit: 10 });
  const wrong = checks.check({ check: {
    document: { type: "passport", number: "E18000001" }, journey: { mode: "ship", cabin: "seat" },
  } });
  console.log(JSON.stringify({
    outcomes: listed.results.map((each) => each.outcome),
    sold: sell(denied.decision),
    seats: denied.seats,
    reasons: denied.reasons.map((each) => [each.code, each._case]),
    instead: denied.allowedInstead.map((each) => each.trains),
    age: Date.now() - denied.freshAsOf.getTime(),
    reference: denied.reference,
    batch: batch.results.map((each) => each.decision),
    counts: batch.counts,
    heard: page.changes.map((each) => each.subject === denied.subject),
    faults: (await faults(wrong)).map((each) => each.field),
  }));
}

main();
