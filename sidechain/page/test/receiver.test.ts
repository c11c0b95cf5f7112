import assert from "node:assert/strict";
import { test } from "node:test";
import { needsClaimant, readAccount, refusedClaimant, refusedRecipient } from "../src/bitcoin/receiver.ts";
import { depositRefused, withdrawalRefused } from "../src/bitcoin/refusal.ts";
import type { Contracts } from "../src/peg/answers.ts";

const of = (last: number) => `0xca0500000000000000000000000000000000000${last}` as const;
const contracts = { bridge: of(4), signingBoard: of(3), vault: of(6), deposits: of(7) } as Contracts;
const account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

test("coins go to nobody who could not use them", () => {
  const [recipient, claimant] = [refusedRecipient, refusedClaimant].map((refused) => (one: string) => refused(one, contracts) ?? "") as [(one: string) => string, (one: string) => string];
  assert.equal(recipient(account), "");
  assert.equal(claimant(account), "");
  assert.match(recipient(`0x${"00".repeat(20)}`), /recipient is the zero address/);
  assert.match(claimant(`0x${"00".repeat(20)}`), /claimant is the zero address/);
  assert.match(recipient(contracts.vault.toUpperCase().replace("0X", "0x")), /takes no coins/);
  assert.match(claimant(contracts.deposits), /claimant is a contract of the bridge/);
  assert.match(recipient(contracts.bridge), /its reserve's/);
  assert.match(recipient("0x12"), /40 hexadecimal digits/);
  // A contract of the ledger may get coins, which it refuses; but it fetches none.
  assert.equal(recipient(contracts.signingBoard), "");
  for (const one of [contracts.bridge, contracts.signingBoard]) assert.match(claimant(one), /can fetch nothing/);
});

test("code may refuse coins, and a delegated account has a key", () => {
  assert.deepEqual(["0x", "", "0x6080", `0xef0100${"11".repeat(20)}`].map(needsClaimant), [false, false, true, false]);
});

test("an account whose checksum is wrong is none", () => {
  assert.equal(readAccount(` ${account} `), account.toLowerCase());
  assert.equal(readAccount(account.toLowerCase()), account.toLowerCase());
  assert.equal(readAccount(account.replace("F39F", "f39F").replace("d6e51", "D6e51")), undefined);
  for (const text of ["", "0x", account.slice(0, -1), account.slice(2), "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"]) assert.equal(readAccount(text), undefined);
});

test("a refusal says the number that would be taken", () => {
  assert.match(withdrawalRefused({ why: "belowLeast", leastSat: 1_600n }), /0\.000016 BTC/);
  assert.match(withdrawalRefused({ why: "leavesDust", restSat: 1n, leastSat: 330n }), /0\.00000001 BTC would be left.*0\.0000033 BTC/);
  assert.match(depositRefused({ why: "belowLeast", leastSat: 1_400n }), /0\.000014 BTC/);
});
