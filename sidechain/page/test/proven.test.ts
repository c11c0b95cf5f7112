// What is shown beside a proof, and how often one is asked for: by the block of tests/data/receipts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Context } from "../src/app/view.ts";
import { html, nothing } from "lit-html";
import { type AskedDeposit, Proof, oldWords } from "../src/draw/proven.ts";
import { ReservesProof } from "../src/draw/reserves.ts";
import { type Standing, differences, standingOf } from "../src/evidence/books.ts";
import { NotProven } from "../src/evidence/failure.ts";
import { readOutpoint } from "../src/evidence/entries.ts";
import { proveDeposits, proveHead, proveKeys, proveTold, proveWithdrawal } from "../src/evidence/live.ts";
import { readTransaction, transactionBytes } from "../src/evidence/transaction.ts";
import { NodeDown } from "../src/node.ts";
import type { Books, Deposit, Info, Withdrawal } from "../src/peg/answers.ts";
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
    await proof.ofWithdrawal(1, { ...one, ...changed });
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

test("what was proven before says nothing of what is told otherwise now", async () => {
  const proof = new Proof(context(receiptNode()).context);
  const one = await provenWithdrawal();
  await proof.ofWithdrawal(1, one);
  assert.ok(proof.verdict && "what" in proof.verdict);
  await proof.ofWithdrawal(1, { ...one, amountSat: 1 });
  assert.equal(proof.verdict, undefined, "it is being checked");
  await proof.ofWithdrawal(1, one);
  assert.ok(proof.verdict && "what" in proof.verdict);
});

test("a withdrawal that is told otherwise in any part is not proven", async () => {
  const one = await provenWithdrawal();
  const lies: Partial<Withdrawal>[] = [{ owner: `0x${"11".repeat(20)}` }, { amountSat: 1 }, { maxFeeSat: 1 }, { askedAt: one.askedAt - 604_800 }, { script: "0x51" }, { paidBy: null }, { status: "cancelled" }];
  for (const lie of lies) {
    const proof = new Proof(context(receiptNode()).context);
    for (let times = 0; times < 3; times++) await proof.ofWithdrawal(1, { ...one, ...lie });
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
    for (let times = 0; times < 3; times++) await proof.ofWithdrawal(1, { ...one, versions: [{ ...version, ...changed }] }, paying);
    return proof.verdict && ("failed" in proof.verdict ? proof.verdict.failed : proof.verdict.what);
  };
  assert.match((await verdict({})) ?? "", /what arrived/);
  assert.doesNotMatch((await verdict({}, [])) ?? "", /what arrived/, "without its bytes that is the node's word");
  assert.match((await verdict({ chargeSat: version.chargeSat + 1 })) ?? "", /something else than the node/);
  assert.match((await verdict({ txid: "11".repeat(32) })) ?? "", /something else than the node/);
  assert.match((await verdict({}, [{ number: 3, transaction: transactionOf(2) }])) ?? "", /no such one/);
  assert.match((await verdict({}, [{ number: 3, transaction: "0x00" }])) ?? "", /./);
});

test("a withdrawal is proven by the number of the link, and a tie, an end or a charge that its record has not is refused", async () => {
  const one = await provenWithdrawal();
  const version = { number: 3, txid: "3e6b7f84a5e5b7990cdaf9c3ad0d994a006a73b385bde2f7ed222402462fe2b3", status: "settled" as const, chargeSat: 666 };
  assert.match((await verdictOf((proof) => proof.ofWithdrawal(2, one))).failed ?? "", /withdrawal 2 was asked for, and the node answers withdrawal 1/);
  const lies: Partial<Withdrawal>[] = [{ status: "tied" }, { status: "queued" }, { tie: (one.tie ?? 0) + 1 }, { tie: null }, { versions: [{ ...version, number: 9, txid: "11".repeat(32), status: "bound", chargeSat: one.maxFeeSat + 1 }] }];
  for (const lie of lies) assert.match((await verdictOf((proof) => proof.ofWithdrawal(1, { ...one, ...lie }))).failed ?? "", /something else than the node/, JSON.stringify(lie));
  assert.match((await verdictOf((proof) => proof.ofWithdrawal(1, one))).what ?? "", /where it stands/);
});

/** The deposit of tests/data/receipts, as an honest node tells it, and the bytes that paid it. */
async function provenDeposit(): Promise<{ one: Deposit; bytes: string; script: string }> {
  const { outpoint, payment } = JSON.parse(readFileSync(new URL("../../../../../tests/data/receipts/deposit.json", import.meta.url), "utf8")).about as { outpoint: string; payment: { transaction: string } };
  const { txid, vout } = readOutpoint(outpoint);
  const found = (await proveDeposits(receiptNode(), genesis, [{ txid, vout }])).deposits.get(outpoint);
  assert.ok(found);
  const one: Deposit = { txid, vout, status: found.status, recipient: found.recipient, claimant: found.claimant, amountSat: Number(found.amountSat), maxFeeSat: Number(found.maxFeeSat), mintedSat: found.mintedSat === undefined ? null : Number(found.mintedSat), bound: true, sweptBy: found.sweptBy ?? null, height: found.height, confirmations: 9, hasLeft: false, epoch: found.epoch };
  const paid = readTransaction(transactionBytes(payment.transaction)).outputs[vout];
  assert.ok(paid);
  return { one, bytes: payment.transaction, script: paid.script };
}

/** What three refreshes end with. */
async function verdictOf(check: (proof: Proof) => Promise<void>): Promise<{ what?: string; rest?: string | undefined; failed?: string }> {
  const proof = new Proof(context(receiptNode()).context);
  for (let times = 0; times < 3; times++) await check(proof);
  return proof.verdict ?? {};
}

test("a deposit is proven as it was asked for: the output of the link, and the address that its transaction paid", async () => {
  const { one, bytes, script } = await provenDeposit();
  const outpoint = `${one.txid}:${one.vout}`;
  const verdict = (asked: AskedDeposit, changed: Partial<Deposit> = {}) => verdictOf((proof) => proof.ofDeposit({ ...one, ...changed }, asked));
  assert.match((await verdict({ outpoint, script, bytes })).what ?? "", /the address that it paid/);
  assert.match((await verdict({ outpoint: `${"00".repeat(32)}:0`, script, bytes })).failed ?? "", /was asked for, and the node answers/);
  assert.match((await verdict({ script: `5120${"11".repeat(32)}`, bytes })).failed ?? "", /it paid another address/);
  assert.match((await verdict({ script, bytes: transactionOf(1) })).failed ?? "", /what is shown as transaction/);
  const without = await verdict({ script });
  assert.doesNotMatch(without.what ?? "", /address/);
  assert.match(without.rest ?? "", /that it paid this address/);
  for (const lie of [{ height: one.height + 1 }, { epoch: 2 }, { status: "swept" as const }, { sweptBy: 9 }]) assert.match((await verdict({}, lie)).failed ?? "", /something else than the node/, JSON.stringify(lie));
});

test("that there is nothing is proven, too, and of what there is refused", async () => {
  const { one } = await provenDeposit();
  assert.match((await verdictOf((proof) => proof.ofNoDeposit(`${one.txid}:${one.vout}`))).failed ?? "", /something else/);
  assert.match((await verdictOf((proof) => proof.ofNoWithdrawal(1))).failed ?? "", /something else/);
});

test("payments that are a list are proven together, and one that is told otherwise is enough to refuse it", async () => {
  const { one } = await provenDeposit();
  assert.match((await verdictOf((proof) => proof.ofDeposits([one]))).what ?? "", /of this payment/);
  assert.match((await verdictOf((proof) => proof.ofDeposits([{ ...one, amountSat: one.amountSat + 1 }]))).failed ?? "", /something else/);
});

test("an old block says what was: keys of it are refused, and a request of it is marked", async () => {
  const { timestamp } = reserves.header;
  await proveKeys(receiptNode(), genesis, 1, timestamp + 300);
  await assert.rejects(proveKeys(receiptNode(), genesis, 1, timestamp + 301), /is 5 minutes old/);
  assert.equal(oldWords(reserves.header, timestamp + 300), nothing);
  assert.notEqual(oldWords(reserves.header, timestamp + 301), nothing);
});

/** Withdrawal 1 of the block, as an honest node tells it. */
async function provenWithdrawal(): Promise<Withdrawal> {
  const { withdrawal: one } = await proveWithdrawal(receiptNode(), genesis, 1);
  assert.ok(one);
  return { id: 1, status: "paid", owner: one.owner, amountSat: Number(one.amountSat), maxFeeSat: Number(one.maxFeeSat), askedAt: one.askedAt, tie: one.tie ?? null, versions: [], paidBy: one.paidBy ?? null, script: one.script };
}

test("what is disproven is said first and offers its owner nothing, and what is not checked yet is marked", async () => {
  const one = await provenWithdrawal();
  const proof = new Proof(context(receiptNode()).context);
  const acts = html`act`;
  assert.notEqual(proof.guarded(acts), acts, "nothing is checked yet");
  assert.equal(proof.warning().values[0], nothing);
  await proof.ofWithdrawal(1, one);
  assert.equal(proof.guarded(acts), acts);
  assert.equal(proof.warning().values[0], nothing);
  for (let times = 0; times < 3; times++) await proof.ofWithdrawal(1, { ...one, amountSat: 1 });
  assert.ok(proof.isDisproven);
  assert.equal(proof.guarded(acts), nothing);
  assert.notEqual(proof.warning().values[0], nothing);
});

test("a payment that could not be checked to have paid the address is warned of", async () => {
  const { one, bytes, script } = await provenDeposit();
  const warned = async (asked: AskedDeposit) => {
    const proof = new Proof(context(receiptNode()).context);
    await proof.ofDeposit(one, asked);
    return proof.warning().values[0] !== nothing;
  };
  assert.deepEqual([await warned({ script }), await warned({ script, bytes }), await warned({})], [true, false, false]);
});
