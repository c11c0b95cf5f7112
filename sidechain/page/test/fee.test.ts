import assert from "node:assert/strict";
import { test } from "node:test";
import answered from "./data/quotes.json";
import { depositBill, depositCharge, enoughUpTo, floorFee, isSound, leastDepositMaximum, refusedDeposit, refusedWithdrawal, usualDepositMaximum, usualWithdrawalMaximum, withdrawalBill, withdrawalCharge } from "../src/bitcoin/fee.ts";
import { type Payee, payeeOf } from "../src/bitcoin/script.ts";
import type { Node } from "../src/node.ts";
import type { Parameters, Quote } from "../src/peg/answers.ts";
import { askQuote } from "../src/peg/quote.ts";

/** As bridge/cli/src/user/charge.rs has them, with all numbers different. */
const parameters = { minDepositSat: 3_000, minWithdrawalSat: 2_000, pegInFeeSat: 150, pegOutFeeSat: 250, floorRate: 5_000, minRate: 1_000, maxRate: 2_000_000, windowSat: 400_000_000 } as Parameters;
/** Of the dev network that answered. */
const dev = { ...parameters, pegInFeeSat: 400, pegOutFeeSat: 600, floorRate: 1_000, maxRate: 1_000_000 };
const BITCOIN = 100_000_000n;

const p2tr = payeeOf(Uint8Array.of(0x51, 32, ...new Uint8Array(32))) as Payee;

test("a charge depends on the rate and the own size alone and is rounded up", () => {
  // By hand from docs/ledger.md, "Fees", as in bridge/src/charges.rs.
  for (const [bytes, rate, want] of [[34, 1_000n, 78n], [22, 1_000n, 66n], [34, 1_001n, 79n], [42, 200_000n, 17_200n], [25, 1n, 1n]] as const) {
    assert.deepEqual(withdrawalCharge(bytes, rate, parameters), { bitcoinSat: want, pegSat: 250n, totalSat: want + 250n });
  }
  for (const [rate, want] of [[1_000n, 93n], [2_000n, 185n], [2_001n, 186n], [1n, 1n]] as const) assert.equal(depositCharge(rate, parameters).bitcoinSat, want);
  assert.equal(floorFee(34, parameters), 640n);
});

test("a node quotes the same, to the satoshi", () => {
  for (const [bytes, rate, into, out, floor] of answered.quotes as [number, number, number, number, number][]) {
    assert.equal(depositCharge(BigInt(rate), dev).totalSat, BigInt(into));
    assert.equal(withdrawalCharge(bytes, BigInt(rate), dev).totalSat, BigInt(out));
    assert.equal(floorFee(bytes, dev), BigInt(floor));
  }
});

test("whatever is sent, at whatever rate, a bill adds up to the satoshi and takes no more than its maximum", () => {
  let seed = 7n;
  const below = (most: bigint) => (seed = (seed * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) & ((1n << 64n) - 1n)) % most;
  for (let round = 0; round < 20_000; round += 1) {
    const [sent, maximum, rate] = [below(round % 2 ? 3_000n : 21n * BITCOIN * 1_000_000n), below(100_000n), below(2_000_000n)];
    for (const [bill, charge] of [
      [depositBill(sent, maximum, rate, parameters), depositCharge(rate, parameters)],
      [withdrawalBill(sent, maximum, rate, p2tr, parameters), withdrawalCharge(34, rate, parameters)],
    ] as const) {
      const taken = bill.bitcoinSat + bill.pegSat;
      assert.equal(bill.sentSat - taken, bill.receivedSat);
      assert(bill.bitcoinSat >= 0n && bill.pegSat >= 0n && bill.receivedSat >= 0n);
      assert.equal(taken, [charge.totalSat, maximum, sent].reduce((least, one) => (one < least ? one : least)));
    }
  }
});

test("a deposit is charged at most its maximum and its amount", () => {
  // As bridge/src/charges.rs: 335 sat at 2 sat/vB.
  const arrives = (amount: bigint, maximum: bigint) => depositBill(amount, maximum, 2_000n, parameters).receivedSat;
  assert.deepEqual([arrives(1_000n, 500n), arrives(1_000n, 300n), arrives(100n, 500n)], [665n, 700n, 0n]);
});

test("nobody agrees to more than 300 sat a vbyte or a quarter without a word", () => {
  const most = withdrawalCharge(34, 300_000n, parameters).totalSat;
  for (const rate of [0n, 1n, 1_000n, 7_777n, 100_000n, 300_000n]) {
    const usual = usualWithdrawalMaximum(BITCOIN, rate, p2tr, parameters);
    assert(usual >= withdrawalCharge(34, rate, parameters).totalSat && usual >= floorFee(34, parameters) && usual <= most);
    const into = usualDepositMaximum(undefined, rate, parameters);
    assert(into >= depositCharge(rate, parameters).totalSat && into <= depositCharge(300_000n, parameters).totalSat);
  }
  assert(usualWithdrawalMaximum(BITCOIN, 300_001n, p2tr, parameters) < withdrawalCharge(34, 300_001n, parameters).totalSat);
  assert(usualDepositMaximum(undefined, 300_001n, parameters) < depositCharge(300_001n, parameters).totalSat);
  assert.equal(usualWithdrawalMaximum(20_000n, 10_000n, p2tr, parameters), 3_090n);
  assert.equal(usualDepositMaximum(undefined, 1_000n, parameters), 20_000n);
  assert.equal(usualDepositMaximum(40_000n, 1_000n, parameters), 10_000n);
  // A tiny amount bears a rate that doubles, and never more than half of it.
  const twice = depositCharge(20_000n, parameters).totalSat;
  assert.equal(usualDepositMaximum(3n * twice, 10_000n, parameters), twice);
  assert.equal(usualDepositMaximum(twice, 10_000n, parameters), twice / 2n);
});

test("a maximum is enough up to a rate, and not a little above it", () => {
  const maximum = 5_000n;
  const upTo = enoughUpTo(maximum, parameters);
  assert(upTo !== undefined && depositCharge(upTo, parameters).totalSat <= maximum && depositCharge(upTo + 20n, parameters).totalSat > maximum);
  assert.equal(enoughUpTo(1n, parameters), undefined);
});

test("what the bridge would refuse is said before anything is signed", () => {
  const withdrawal = (amount: bigint, maximum: bigint) => refusedWithdrawal(amount, maximum, p2tr, parameters);
  assert.deepEqual(withdrawal(1_999n, 640n), { why: "belowLeast", leastSat: 2_000n });
  assert.deepEqual(withdrawal(400_000_001n, 640n), { why: "aboveWindow", mostSat: 400_000_000n });
  assert.deepEqual(withdrawal(2_000n, 639n), { why: "maximumBelowFloor", leastSat: 640n });
  assert.deepEqual(withdrawal(2_000n, 1_671n), { why: "leavesDust", restSat: 329n, leastSat: 330n });
  assert.deepEqual(withdrawal(2_000n, 5_000n), { why: "leavesDust", restSat: 0n, leastSat: 330n });
  assert.equal(withdrawal(2_000n, 1_670n), undefined);
  const deposit = (amount: bigint | undefined, maximum: bigint) => refusedDeposit(amount, maximum, parameters)?.why;
  assert.equal(leastDepositMaximum(parameters), 243n);
  assert.deepEqual([deposit(2_999n, 243n), deposit(3_000n, 242n), deposit(undefined, 100_000_001n), deposit(3_000n, 3_000n), deposit(3_000n, 2_999n), deposit(undefined, 100_000_000n)], [
    "belowLeast",
    "maximumBelowFloor",
    "maximumAboveMost",
    "leavesDust",
    undefined,
    undefined,
  ]);
});

test("a quote that its rate does not make is a lie", () => {
  const quote = (rate: number): Quote => ({
    rate,
    pegIn: { chargeSat: Number(depositCharge(BigInt(rate), parameters).totalSat), minAmountSat: 3_000 },
    pegOut: { chargeSat: Number(withdrawalCharge(34, BigInt(rate), parameters).totalSat), floorFeeSat: 640, minAmountSat: 2_000 },
  });
  const { pegIn, pegOut } = quote(4_000);
  assert(isSound(quote(4_000), 34, parameters));
  assert(!isSound(quote(4_000), 22, parameters));
  assert(!isSound({ rate: 4_000, pegIn, pegOut: { ...pegOut, chargeSat: pegOut.chargeSat + 1 } }, 34, parameters));
  assert(!isSound({ rate: 4_000, pegIn: { ...pegIn, chargeSat: 1.5 }, pegOut }, 34, parameters));
  assert(!isSound(quote(999), 34, parameters) && !isSound(quote(2_000_001), 34, parameters));
  for (const nothing of [null, {}, { rate: 4_000 }, { rate: 4_000, pegIn, pegOut: null }, { rate: "4000", pegIn, pegOut }]) assert(!isSound(nothing as Quote | null, 34, parameters));
});

test("a price that is read from a node is one that its rate makes", async () => {
  const asked: unknown[] = [];
  const node = (change: (chargeSat: number) => number) => ({
    ask: async (...words: unknown[]) => {
      asked.push(words);
      const [bytes, rate] = [words[1] as number, 4_000n];
      const chargeSat = change(Number(withdrawalCharge(bytes, rate, parameters).totalSat));
      return { rate: Number(rate), pegIn: { chargeSat: Number(depositCharge(rate, parameters).totalSat), minAmountSat: 1 }, pegOut: { chargeSat, floorFeeSat: Number(floorFee(bytes, parameters)), minAmountSat: 1 } };
    },
  }) as unknown as Node;
  assert.equal((await askQuote(node((sat) => sat), { parameters }, 22)).rate, 4_000);
  assert.equal((await askQuote(node((sat) => sat), { parameters })).rate, 4_000);
  assert.deepEqual(asked, [["peg_quote", 22, null], ["peg_quote", 34, null]]);
  await assert.rejects(askQuote(node((sat) => sat - 1), { parameters }), /the node quotes .*"chargeSat":561.* no rate makes/);
});
