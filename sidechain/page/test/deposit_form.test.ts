import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "viem";
import type { Contracts, Limits, Parameters, Quote } from "../src/peg/answers.ts";
import { type Known, type Typed, nothingTyped, read } from "../src/peg/deposit_form.ts";

const of = (last: number) => `0xca0500000000000000000000000000000000000${last}`;
const contracts = { lightClient: of(1), federation: of(2), signingBoard: of(3), bridge: of(4), microChannel: of(5), vault: of(6), deposits: of(7), wrappedBtc: of(8) } as Contracts;
const parameters = { minDepositSat: 1_400, pegInFeeSat: 400, minRate: 1_000, capSat: 1_000_000 } as Parameters;
const [one, another] = [`0x${"11".repeat(20)}`, `0x${"22".repeat(20)}`] as [Address, Address];
const isContract = (account: Address) => account === of(3) || account === another;

const known = (changed: Partial<Known> = {}): Known => ({
  info: { contracts, parameters, bitcoinNetwork: "regtest" },
  account: undefined,
  quote: { rate: 2_000 } as Quote,
  limits: { capUsedSat: 0 } as Limits,
  hasCode: isContract,
  ...changed,
});
const whole: Typed = { ...nothingTyped(), recipient: one, amount: "0.005", passphrase: "lunar pocket" };
const faults = (typed: Partial<Typed>, of = known()) => Object.fromEntries(Object.entries(read({ ...whole, ...typed }, of).faults).map(([field, { words, isMissing }]) => [field, `${isMissing ? "missing: " : ""}${words}`]));

test("a form that is filled in has no fault, and says what it means", () => {
  const { faults, ...meant } = read(whole, known());
  assert.deepEqual(faults, {});
  assert.deepEqual(meant, { recipient: one, claimant: one, wantsClaimant: false, amountSat: 500_000n, maxFeeSat: 20_000n, usualMaxFeeSat: 20_000n });
});

test("what is not filled in is missing, and nothing that is typed is", () => {
  assert.deepEqual(Object.keys(read(nothingTyped(), known()).faults), ["recipient", "passphrase"]);
  for (const fault of Object.values(faults({ recipient: "", passphrase: "" }))) assert.match(fault, /^missing: /);
  for (const typed of [{ recipient: "0x12" }, { claimant: "0x12" }, { amount: "much" }, { maximum: "much" }, { passphrase: "short" }, { ownKey: "00" }]) {
    const [field] = Object.keys(typed);
    assert.deepEqual(Object.keys(faults(typed)), [field]);
    assert.doesNotMatch(Object.values(faults(typed))[0] ?? "", /^missing/, field);
  }
});

test("the connected account gets the coins unless another is typed", () => {
  assert.equal(read({ ...whole, recipient: "" }, known({ account: one })).recipient, one);
  assert.equal(read({ ...whole, recipient: another }, known({ account: one })).recipient, another);
  // One that cannot be read is not replaced by the wallet's.
  assert.equal(read({ ...whole, recipient: "0x12" }, known({ account: one })).recipient, undefined);
});

test("each account is at fault for itself, also when the other is too", () => {
  assert.deepEqual(Object.keys(faults({ recipient: contracts.bridge, claimant: contracts.vault })), ["recipient", "claimant"]);
  assert.deepEqual(Object.keys(faults({ recipient: "0x12", claimant: contracts.bridge })), ["recipient", "claimant"]);
  assert.deepEqual(Object.keys(faults({ recipient: contracts.deposits, claimant: one })), ["recipient"]);
});

test("who may refuse coins needs somebody who fetches them, by the wallet or typed", () => {
  const needed = /There is a contract at this account/;
  assert.match(faults({ recipient: of(3) }).claimant ?? "", needed);
  assert.match(faults({ recipient: "" }, known({ account: another })).claimant ?? "", needed);
  assert.equal(read({ ...whole, recipient: of(3) }, known()).wantsClaimant, true);
  assert.deepEqual(faults({ recipient: of(3), claimant: one }), {});
  assert.deepEqual(faults({ recipient: another, claimant: another }), {}, "an account that can call the bridge itself");
  assert.deepEqual(faults({ recipient: another }, known({ hasCode: () => false })), {}, "as long as the node has not said that there is code");
});

test("amounts that would not be swept are said with the field that can be changed", () => {
  assert.match(faults({ amount: "0.00001" }).amount ?? "", /smallest deposit/);
  assert.match(faults({ amount: "0.02" }).amount ?? "", /holds as much as it may/);
  assert.match(faults({ amount: "0.005" }, known({ limits: { capUsedSat: 500_001 } as Limits })).amount ?? "", /holds as much as it may/);
  assert.match(faults({ maximum: "100" }).maximum ?? "", /no maximum fee below/);
  assert.match(faults({ amount: "0.00002", maximum: "2000" }).maximum ?? "", /leave nothing/);
});
