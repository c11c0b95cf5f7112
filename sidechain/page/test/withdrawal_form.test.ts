import assert from "node:assert/strict";
import { test } from "node:test";
import { coinDigits, parseAmount } from "../src/amount.ts";
import type { Parameters, Quote } from "../src/peg/answers.ts";
import { type Known, type Typed, nothingTyped, read } from "../src/peg/withdrawal_form.ts";

/** BIP173's example, on regtest. */
const PAYEE = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const parameters = { minWithdrawalSat: 1_600, pegOutFeeSat: 600, floorRate: 1_000, minRate: 1_000, maxRate: 1_000_000, windowSat: 100_000_000 } as Parameters;
const WEI = 10_000_000_000n;

const known = (changed: Partial<Known> = {}): Known => ({ info: { bitcoinNetwork: "regtest", parameters, groupKey: `0x${"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"}`, vaultKey: `0x${"22".repeat(32)}` }, quote: { rate: 1_000 } as Quote, balance: 50_000_000n * WEI, gasWei: 3n * WEI, ...changed });
const whole: Typed = { ...nothingTyped(), address: PAYEE, amount: "0.05" };
const of = (typed: Partial<Typed>, by = known()) => read({ ...whole, ...typed }, by);

test("what is filled in without a fault is what will be signed", () => {
  const { order, faults } = of({});
  assert.deepEqual(faults, {});
  assert.deepEqual({ ...order, payee: undefined }, { payee: undefined, address: PAYEE, amountSat: 5_000_000n, maxFeeSat: 1_998n });
  assert.equal(of({ address: ` ${PAYEE}\n` }).order?.address, PAYEE);
  assert.equal(of({ maximum: "1000" }).order?.maxFeeSat, 1_000n);
});

test("whoever has a fault in a field signs nothing", () => {
  const cases: [Partial<Typed>, Partial<Known>, keyof Typed, RegExp][] = [
    [{ address: "" }, {}, "address", /./],
    [{ address: PAYEE.replace(/.$/, "q") }, {}, "address", /checksum/],
    [{ amount: "" }, {}, "amount", /How much/],
    [{ amount: "much" }, {}, "amount", /This is no amount/],
    [{ amount: "0.51" }, {}, "amount", /has less than that/],
    [{ amount: "0.00001" }, {}, "amount", /smallest withdrawal/],
    [{ amount: "1.1" }, { balance: undefined }, "amount", /At most 1 BTC/],
    [{ amount: "0.00002", maximum: "1900" }, {}, "amount", /would be left/],
    [{ maximum: "much" }, {}, "maximum", /This is no amount/],
    [{ maximum: "1" }, {}, "maximum", /no maximum fee below/],
  ];
  for (const [typed, by, field, words] of cases) {
    const { order, faults } = of(typed, known(by));
    assert.equal(order, undefined, JSON.stringify(typed));
    assert.match(faults[field as "address"] ?? "", words, JSON.stringify(typed));
  }
  assert.equal(of({}, known({ quote: undefined })).order, undefined, "without a price there is no usual maximum");
});

test("nobody pays out to the federation's own keys, nor to a deposit address", () => {
  // BIP350's example, whose key is the generator's.
  const theirs = "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6";
  assert.match(of({ address: theirs }).faults.address ?? "", /a key of the federation's own: what is paid there belongs to nobody/);
  assert.equal(of({ address: theirs }).order, undefined);
  const free = { ...known().info, groupKey: null, vaultKey: `0x${"22".repeat(32)}` };
  assert.ok(of({ address: theirs }, known({ info: free })).order, "somebody's");
  assert.match(of({ address: theirs }, known({ info: free, isDeposit: (address) => address === theirs })).faults.address ?? "", /a deposit address of this peg/);
});

test("all is what the account has but for the gas, in whole satoshis, and nothing before the node has said", () => {
  const all = (balance: bigint | undefined) => of({ isAll: true, amount: "" }, known({ balance })).amountSat;
  assert.deepEqual([all(10_000n * WEI), all(10_000n * WEI - 1n), all(2n * WEI), all(undefined)], [9_997n, 9_996n, 0n, undefined]);
});

test("a payment link is read as its address, and says what it asks for", () => {
  const { order, askedSat } = of({ address: `bitcoin:${PAYEE}?amount=0.01` });
  assert.deepEqual([order?.address, askedSat], [PAYEE, 1_000_000n]);
  assert.equal(of({}).askedSat, undefined);
});

test("the digits that a field is filled with are read as the same amount", () => {
  for (const sat of [0n, 1n, 99_999_999n, 100_000_000n, 2_100_000_000_000_000n]) assert.equal(parseAmount(coinDigits(sat), "BTC"), sat);
});
