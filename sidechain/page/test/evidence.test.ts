// The evidence, by what a real network made: tests/data/receipts, which the Rust library is tested with (sidechain/light, tests/tests/differential/receipts.rs).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { verifyFinality } from "../src/evidence/certificate.ts";
import { NotProven } from "../src/evidence/failure.ts";
import { readGenesis, requireSameFederation, requireSameRules } from "../src/evidence/genesis.ts";
import { verifyReceipt } from "../src/evidence/receipt.ts";
import { sumsOf } from "../src/evidence/reserves.ts";
import { entry, fieldOf, numbered, valueOf, word } from "../src/evidence/storage.ts";
import { provenValue } from "../src/evidence/trie.ts";

const read = (name: string) => readFileSync(new URL(`../../../../../tests/data/receipts/${name}.json`, import.meta.url), "utf8");
const genesisText = read("genesis");
const genesis = readGenesis(genesisText);
const receipts = { deposit: read("deposit"), withdrawal: read("withdrawal"), reserves: read("reserves") };

test("a genesis file names its network by its content, however it is spaced", () => {
  // `causeway genesis --show` of this file, by the Rust library.
  assert.equal(genesis.networkId, "0x103c4717b87f36a58a6fa4bd5a41ff73d4397a29807c478ce063e357a273c1f9");
  assert.equal(readGenesis(JSON.stringify(JSON.parse(genesisText.replace("18446744073709551615", '"max"'))).replace('"max"', "18446744073709551615")).networkId, genesis.networkId);
  assert.notEqual(readGenesis(genesisText.replace('"chainId": 51717', '"chainId": 51718')).networkId, genesis.networkId);
  for (const wrong of ["", "{}", "[]", '{"federation":{"members":[]}}', genesisText.slice(0, 500)]) assert.throws(() => readGenesis(wrong), NotProven, wrong.slice(0, 40));
});

test("a node that names other rules than its genesis file is caught, whichever rule it is", () => {
  const same = structuredClone(genesis.rules) as Record<string, unknown>;
  requireSameRules(same, genesis);
  requireSameRules({ ...same, ofTomorrow: 1, guardians: (same.guardians as string[]).map((one) => one.toUpperCase().replace("0X", "0x")) }, genesis);
  assert.ok(Object.keys(same).length > 20);
  for (const [rule, value] of Object.entries(same)) {
    const others = typeof value === "number" ? [value + 1, String(value), null] : [[], (value as unknown[]).toReversed().slice(1), [...(value as unknown[]), {}], {}];
    for (const other of [undefined, ...others]) assert.throws(() => requireSameRules({ ...same, [rule]: other }, genesis), new RegExp(`the node says that ${rule} is .*its genesis file says`), `${rule}: ${JSON.stringify(other)}`);
  }
});

test("a node that names other members than its genesis file, or another number that signs, is caught", () => {
  const members = genesis.members.map(({ name, account }, at) => ({ index: at + 1, name, account: account.toUpperCase().replace("0X", "0x") }));
  const same = { members, threshold: genesis.threshold };
  assert.equal(genesis.threshold, 3);
  requireSameFederation(same, genesis);
  const [first, second] = members as [(typeof members)[0], (typeof members)[0]];
  const lies = [{ threshold: 1 }, { members: members.slice(1) }, { members: [...members, first] }, { members: members.toReversed() }, { members: [{ ...first, name: "somebody" }, ...members.slice(1)] }, { members: [{ ...first, account: second.account }, ...members.slice(1)] }];
  for (const lie of lies) assert.throws(() => requireSameFederation({ ...same, ...lie }, genesis), /its genesis file/, JSON.stringify(lie));
});

test("three receipts of a real network show what they are about", () => {
  const deposit = verifyReceipt(receipts.deposit, genesis);
  assert.ok(deposit.kind === "deposit" && deposit.deposit.status === "minted" && deposit.paid.output.amountSat === deposit.deposit.amountSat);
  const withdrawal = verifyReceipt(receipts.withdrawal, genesis);
  // The worked example of docs/evidence.md.
  assert.ok(withdrawal.kind === "withdrawal");
  assert.equal(withdrawal.withdrawal.amountSat, 10_000_000n);
  assert.equal(withdrawal.withdrawal.askedAt, 1_795_808_544);
  assert.equal(withdrawal.withdrawal.paidBy, 3);
  assert.equal(withdrawal.paid.txid, "3e6b7f84a5e5b7990cdaf9c3ad0d994a006a73b385bde2f7ed222402462fe2b3");
  assert.equal(withdrawal.paid.height, 160);
  const reserves = verifyReceipt(receipts.reserves, genesis);
  assert.ok(reserves.kind === "reserves" && reserves.sums.isBalanced && reserves.sums.isCovered);
  assert.equal(reserves.outputs.reduce((sum, { amountSat }) => sum + amountSat, 0n), reserves.books.vaultSat);
  assert.deepEqual([reserves.header.signers >= 3, reserves.header.validators], [true, 4]);
});

/** Every value of a JSON, changed one at a time. */
function* changed(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) for (const other of changed(value[at])) yield value.with(at, other);
    if (value.length) yield value.slice(1);
    if (value.length > 1) yield value.toReversed();
  } else if (typeof value === "object" && value !== null) {
    for (const [key, part] of Object.entries(value)) {
      for (const other of changed(part)) yield { ...value, [key]: other };
      const { [key]: _, ...without } = value as Record<string, unknown>;
      yield without;
    }
    yield { ...value, further: 1 };
  } else if (typeof value === "number") {
    yield value + 1;
  } else if (typeof value === "string") {
    const at = Math.min(value.length - 1, 2 + Math.floor(value.length / 2));
    const digit = value[at] === "1" ? "2" : "1";
    yield value.slice(0, at) + digit + value.slice(at + 1);
    yield value.slice(0, -2);
  }
}

test("whatever is changed in a receipt, it shows nothing any more", () => {
  let count = 0;
  for (const [kind, text] of Object.entries(receipts)) {
    const receipt = JSON.parse(text) as Record<string, unknown>;
    // The hash of the genesis block is of an EVM's making: the certificate names the network in its stead.
    const { genesis: _, ...checked } = receipt;
    const all = [...changed(checked)].map((other) => JSON.stringify({ ...(other as object), genesis: receipt.genesis }));
    // Each check of a certificate takes some milliseconds: of the proofs' many nodes, some.
    const step = Math.ceil(all.length / 150);
    for (let at = 0; at < all.length; at += step) {
      assert.throws(() => verifyReceipt(all[at] as string, genesis), NotProven, `${kind}, change ${at}: ${(all[at] as string).slice(0, 80)}`);
      count++;
    }
  }
  assert.ok(count > 300, `${count} changes`);
});

test("a certificate is of one network, one block and enough validators", () => {
  const { finality } = JSON.parse(receipts.reserves);
  assert.equal(verifyFinality(finality, genesis).number, finality.number);
  const refused = (other: object, why: RegExp, of = genesis) => assert.throws(() => verifyFinality({ ...finality, ...other }, of), why);
  refused({}, /did not sign/, { ...genesis, networkId: `0x${"11".repeat(32)}` });
  refused({}, /did not sign|is of 4 validators/, { ...genesis, validatorKeys: genesis.validatorKeys.toReversed() });
  refused({}, /another length|is of 4 validators/, { ...genesis, validatorKeys: genesis.validatorKeys.slice(1) });
  refused({ header: JSON.parse(receipts.withdrawal).finality.header.replace(/.{2}$/, "00") }, /another block|not RLP|other fields/);
  refused({ certificate: `${finality.certificate}00` }, /another length/);
  refused({ certificate: "0x" }, /cut off|another block/);
  refused({ descendants: [finality.header] }, /does not follow/);
});

test("what is not in a trie is shown to be absent, and not by a part of a proof", () => {
  const [proof] = JSON.parse(receipts.reserves).proofs;
  const root = proof.storageHash;
  const slot = proof.storageProof[0];
  assert.ok(provenValue(root, slot.key, slot.proof));
  assert.throws(() => provenValue(root, slot.key, slot.proof.slice(0, -1)), NotProven, "cut off");
  assert.throws(() => provenValue(root, slot.key, [...slot.proof, slot.proof[0]]), NotProven, "too long");
  assert.throws(() => provenValue(root, word(12_345n), slot.proof), NotProven, "of another key");
  const empty = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
  assert.equal(provenValue(empty, slot.key, []), undefined);
  assert.throws(() => provenValue(empty, slot.key, slot.proof), NotProven);
});

test("a field is its bytes from the low end, and an entry is where Solidity puts it", () => {
  const bytes = BigInt(`0x${Array.from({ length: 32 }, (_, at) => (31 - at).toString(16).padStart(2, "0")).join("")}`);
  assert.equal(valueOf({ slot: 0, offset: 3, size: 2 }, bytes), 0x0403n);
  assert.equal(fieldOf([0n, bytes], { slot: 1, offset: 31, size: 1 }), 31n);
  assert.throws(() => fieldOf([bytes], { slot: 1, offset: 0, size: 1 }));
  // contracts/src/storage.rs, whose value is by eth-utils.
  assert.equal(word(numbered(2n, 1)), "0xe90b7bceb6e7df5418fb78d8ee546e97c83a08bbccc01a0644d599ccd2a7c2e0");
  assert.equal(entry(2n, word(1n)), numbered(2n, 1));
});

test("books that balance are covered to the satoshi, and what is missing is said", () => {
  const books = { vaultSat: 100n, owedSat: 20n, unmintedSat: 10n, unsweptSat: 0n, lostSat: 0n, reserveSat: 5n, unclaimedSat: 7n, coveredSat: 0n };
  const supply = 58n * 10_000_000_000n;
  assert.deepEqual(sumsOf(supply, books), { isBalanced: true, isCovered: true, surplusWei: 0n, missingSat: 0n });
  assert.equal(sumsOf(supply + 1n, books).isBalanced, false);
  const lost = sumsOf(supply, { ...books, vaultSat: 90n, lostSat: 10n });
  assert.deepEqual([lost.isBalanced, lost.isCovered, lost.missingSat], [true, false, 10n]);
  const overdrawn = sumsOf(supply, { ...books, vaultSat: 85n, reserveSat: -10n });
  assert.deepEqual([overdrawn.isBalanced, overdrawn.isCovered, overdrawn.missingSat], [true, false, 10n]);
});
