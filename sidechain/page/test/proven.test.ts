// What is shown beside a proof, and how often one is asked for: by the block of tests/data/receipts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Context } from "../src/app/view.ts";
import { Proof } from "../src/draw/proven.ts";
import { ReservesProof } from "../src/draw/reserves.ts";
import { type Standing, differences, standingOf } from "../src/evidence/books.ts";
import { NotProven } from "../src/evidence/failure.ts";
import { proveHead, proveTold, proveWithdrawal } from "../src/evidence/live.ts";
import { NodeDown } from "../src/node.ts";
import type { Books, Info, Withdrawal } from "../src/peg/answers.ts";
import { type Asked, counted, finality, genesis, receiptNode, reserves, transactionOf } from "./receipt_node.ts";

const standing = standingOf(reserves);
const told = (changed: Partial<Books> = {}): Books => ({ ...(Object.fromEntries(Object.entries(standing).map(([book, sat]) => [book, Number(sat)])) as unknown as Books), ...changed });
const info = (changed: Partial<Books> = {}, head: Partial<Info["head"]> = {}): Info => ({ books: told(changed), head: { number: finality.number, hash: finality.hash, timestamp: reserves.header.timestamp, ...head } }) as Info;

test("books that are told as they are proven differ in nothing, and each that is not is named with both numbers", async () => {
  const { reserves: proven, differ } = await proveTold(receiptNode(), genesis, info());
  assert.deepEqual(standingOf(proven), standing);
  assert.deepEqual(differ, []);
  for (const book of Object.keys(standing) as (keyof Standing)[]) {
    const toldSat = standing[book] + 1n;
    assert.deepEqual((await proveTold(receiptNode(), genesis, info({ [book]: Number(toldSat) }))).differ, [{ book, toldSat, provenSat: standing[book] }]);
  }
});

test("what is no amount is another than the one that is proven", () => {
  for (const nothing of [undefined, null, "1", 1.5, 2 ** 60]) {
    assert.deepEqual(differences(told({ vaultSat: nothing as number }), standing), [{ book: "vaultSat", toldSat: undefined, provenSat: standing.vaultSat }]);
  }
});

test("books are compared at the very block that the node names", async () => {
  await assert.rejects(proveTold(receiptNode(), genesis, info({}, { hash: `0x${"11".repeat(32)}` })), /the node says that block 85 is 0x11/);
  await assert.rejects(proveTold(receiptNode(), genesis, info({}, { number: 84 })), /shows block 85 where block 84 was asked for/);
});

/** A view's context, whose clock and node the test sets. */
function context(node: Asked, of = genesis) {
  const at = { now: 1_000, info: info(), node };
  const made = { get node() { return at.node; }, genesis: of, info: () => at.info, now: () => at.now, redraw: () => undefined };
  return { at, context: made as unknown as Context };
}

test("reserves are proven anew each minute, and sooner when the node tells other books than were proven", async () => {
  const { at, context: of } = context(receiptNode());
  const proof = new ReservesProof(of);
  const times = () => at.node.asked.filter((method) => method === "peg_getVault").length;
  const after = async (seconds: number) => {
    at.now += seconds;
    await proof.refresh();
    return times();
  };
  assert.deepEqual([await after(0), await after(59), await after(1)], [1, 1, 2]);
  assert.ok(proof.verdict && "reserves" in proof.verdict && !proof.verdict.differ.length);
  at.info = info({ vaultSat: 1 });
  assert.deepEqual([await after(4), await after(1)], [2, 3]);
  assert.ok(proof.verdict && "reserves" in proof.verdict);
  assert.deepEqual(proof.verdict.differ.map(({ book }) => book), ["vaultSat"]);
});

test("one failure may be a block that lies between, two in a row are none, and silence is neither", async () => {
  const { at, context: of } = context(receiptNode());
  const proof = new ReservesProof(of);
  await proof.refresh();
  const failing = (error: () => unknown) => receiptNode({ eth_getProof: error });
  const refresh = async (node: Asked) => {
    [at.node, at.now] = [node, at.now + 60];
    await proof.refresh();
    return proof.verdict && "failed" in proof.verdict ? proof.verdict.failed : "proven";
  };
  const silent = failing(() => { throw new NodeDown("the node does not answer"); });
  const lying = failing(() => null);
  assert.deepEqual([await refresh(silent), await refresh(silent), await refresh(silent)], ["proven", "proven", "proven"]);
  assert.equal(await refresh(lying), "proven");
  assert.match(await refresh(lying), /cannot be read/);
  assert.equal(await refresh(receiptNode()), "proven");
});

test("a certificate that was checked is not checked again, and another one is", async () => {
  const { genesis: watched, checks } = counted();
  const node = receiptNode();
  const first = await proveHead(node, watched);
  const once = checks();
  assert.ok(once > 0);
  assert.equal(await proveHead(node, watched), first);
  assert.equal(checks(), once, "the same certificate");
  const lies = receiptNode({ peg_getFinality: () => ({ ...finality, certificate: finality.certificate.replace(/..$/, "00") }) });
  await assert.rejects(proveHead(lies, watched), NotProven);
  assert.ok(checks() > once, "a changed one");
  const { genesis: other, checks: byOther } = counted();
  await proveHead(node, other);
  assert.equal(byOther(), once, "another genesis file has other keys");
});

test("a request that is told as before asks for no proof while the head is the same", async () => {
  const { at, context: of } = context(receiptNode());
  const proof = new Proof(of);
  const one = await provenWithdrawal();
  const asks = async (changed: Partial<Withdrawal> = {}) => {
    at.node.asked.length = 0;
    await proof.ofWithdrawal({ ...one, ...changed });
    return at.node.asked.length;
  };
  assert.ok((await asks()) > 0);
  assert.equal(await asks(), 0, "nothing is new");
  assert.ok((await asks({ amountSat: one.amountSat + 1 })) > 0, "it is told otherwise");
  assert.ok((await asks()) > 0, "what was not proven last is proven anew");
  assert.equal(await asks(), 0);
  at.info = info({}, { hash: `0x${"22".repeat(32)}`, number: 86 });
  assert.ok((await asks()) > 0, "there is a new head");
});

test("a withdrawal that is told otherwise in any part is not proven", async () => {
  const one = await provenWithdrawal();
  const lies: Partial<Withdrawal>[] = [{ owner: `0x${"11".repeat(20)}` }, { amountSat: 1 }, { maxFeeSat: 1 }, { askedAt: one.askedAt - 604_800 }, { script: "0x51" }, { paidBy: null }, { status: "cancelled" }];
  for (const lie of lies) {
    const proof = new Proof(context(receiptNode()).context);
    for (let times = 0; times < 3; times++) await proof.ofWithdrawal({ ...one, ...lie });
    assert.deepEqual(proof.verdict, { failed: "the state says something else than the node" }, JSON.stringify(lie));
  }
});

test("what arrived of a withdrawal is proven by the bytes that paid it, and a charge or transaction that is told otherwise is not", async () => {
  const one = await provenWithdrawal();
  // The worked example of docs/evidence.md.
  const version = { number: 3, txid: "3e6b7f84a5e5b7990cdaf9c3ad0d994a006a73b385bde2f7ed222402462fe2b3", status: "settled" as const, chargeSat: 666 };
  const shown = { number: 3, transaction: transactionOf(3) };
  const verdict = async (changed: Partial<typeof version>, paying = [shown]) => {
    const proof = new Proof(context(receiptNode()).context);
    for (let times = 0; times < 3; times++) await proof.ofWithdrawal({ ...one, versions: [{ ...version, ...changed }] }, paying);
    return proof.verdict && ("failed" in proof.verdict ? proof.verdict.failed : proof.verdict.what);
  };
  assert.match((await verdict({})) ?? "", /what arrived/);
  assert.doesNotMatch((await verdict({}, [])) ?? "", /what arrived/, "without its bytes that is the node's word");
  assert.match((await verdict({ chargeSat: version.chargeSat + 1 })) ?? "", /something else than the node/);
  assert.match((await verdict({ txid: "11".repeat(32) })) ?? "", /something else than the node/);
  assert.match((await verdict({}, [{ number: 3, transaction: transactionOf(2) }])) ?? "", /no such one/);
  assert.match((await verdict({}, [{ number: 3, transaction: "0x00" }])) ?? "", /./);
});

/** Withdrawal 1 of the block, as an honest node tells it. */
async function provenWithdrawal(): Promise<Withdrawal> {
  const { withdrawal: one } = await proveWithdrawal(receiptNode(), genesis, 1);
  assert.ok(one);
  return { id: 1, status: "paid", owner: one.owner, amountSat: Number(one.amountSat), maxFeeSat: Number(one.maxFeeSat), askedAt: one.askedAt, tie: one.tie ?? null, versions: [], paidBy: one.paidBy ?? null, script: one.script };
}
