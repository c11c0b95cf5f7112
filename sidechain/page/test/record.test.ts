import assert from "node:assert/strict";
import { test } from "node:test";
import { schnorr } from "@noble/curves/secp256k1.js";
import made from "./data/deposit-record.json";
import { digitsOf } from "../src/bitcoin/bytes.ts";
import { KeystoreError } from "../src/bitcoin/keystore.ts";
import { RecordError, freshReclaimKey, newRecord, openReclaimKey, ownReclaimKey, readRecord, recordFileName, recordText, registration } from "../src/bitcoin/record.ts";
import type { Info } from "../src/peg/answers.ts";

const QUICK = { memoryKib: 64, passes: 1, lanes: 1 };
const account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const info = {
  bitcoinNetwork: made.network,
  networkId: made.networkId,
  contracts: { bridge: made.bridge },
  epoch: made.epoch,
  groupKey: made.groupKey,
  members: [{}, {}, {}, {}],
  parameters: { reclaimDelay: made.reclaimDelay },
} as unknown as Info;
const fresh = async () => newRecord(info, { recipient: account, claimant: account }, 5_000n, await freshReclaimKey("correct horse", undefined, QUICK));

/** Of a dev network, by `causeway peg-in` on its own; the passphrase was made for this file. */
test("a record that causeway made is read, written again the same, and its key opens", async () => {
  const record = readRecord(JSON.stringify(made));
  assert.deepEqual(JSON.parse(recordText(record)), made);
  const secret = await openReclaimKey(record, "a passphrase of the cli");
  assert.equal(`0x${digitsOf(schnorr.getPublicKey(secret))}`, record.reclaimKey);
  await assert.rejects(openReclaimKey(record, "a passphrase of the cly"), { name: "KeystoreError", fault: "wrongPassphrase" });
});

test("a record that is made here has the fields and the form of causeway's, and no secret", async () => {
  const record = await fresh();
  const text = recordText(record);
  const shape = (value: unknown): unknown => (typeof value === "object" && value !== null ? Object.entries(value).map(([name, part]) => [name, shape(part)]) : typeof value);
  assert.deepEqual(shape(JSON.parse(text)), shape(made));
  assert.deepEqual(readRecord(text), record);
  assert.equal(recordFileName(record), `${record.address}.json`);
  const secret = await openReclaimKey(record, "correct horse");
  assert(!text.includes(digitsOf(secret)));
  assert.deepEqual(registration(record), { recipient: account.toLowerCase(), claimant: account.toLowerCase(), reclaimKey: record.reclaimKey, maxFeeSat: 5_000, dataHash: record.dataHash, epoch: 1 });
});

test("an address commits to everything that the record keeps of the terms", () => {
  const changes = {
    networkId: `0x${"08".repeat(32)}`,
    bridge: account,
    recipient: made.bridge,
    claimant: made.bridge,
    maxFeeSat: made.maxFeeSat + 1,
    dataHash: `0x${"08".repeat(32)}`,
    reclaimDelay: made.reclaimDelay + 1,
    network: "signet",
    groupKey: made.reclaimKey,
    address: made.address.replace("bcrt1p4", "bcrt1p5"),
  };
  for (const [field, value] of Object.entries(changes)) assert.throws(() => readRecord(JSON.stringify({ ...made, [field]: value })), /damaged: its parts make the address/, field);
  assert.throws(() => readRecord(JSON.stringify({ ...made, reclaimKey: `0x${"ff".repeat(32)}` })), /make no address/);
});

test("what is no record is refused with a sentence, whatever it is", () => {
  const { claimant, dataHash, ...old } = made;
  assert(claimant && dataHash);
  const cases: [string, RegExp][] = [
    ["", /no record of a deposit/],
    ["{", /no record of a deposit/],
    ["null", /no record of a deposit/],
    ["[]", /no record of a deposit/],
    ["{}", /“address” is missing/],
    [" ".repeat(20_001), /no record of a deposit/],
    [JSON.stringify(old), /earlier version of causeway/],
    [JSON.stringify({ ...made, later: 1 }), /“later”.*newer version/],
    [JSON.stringify({ ...made, maxFeeSat: "5000" }), /“maxFeeSat”/],
    [JSON.stringify({ ...made, maxFeeSat: -1 }), /“maxFeeSat”/],
    [JSON.stringify({ ...made, network: "testnet3" }), /“network”/],
    [JSON.stringify({ ...made, reclaimDelay: 65_536 }), /“reclaimDelay”/],
    [JSON.stringify({ ...made, bridge: "0x12" }), /“bridge”/],
  ];
  for (const [text, words] of cases) assert.throws(() => readRecord(text), (error: Error) => error instanceof RecordError && words.test(error.message), text.slice(0, 60));
  assert.throws(() => readRecord(JSON.stringify({ ...made, reclaimKeystore: { ...made.reclaimKeystore, checksum: "00".repeat(32) } })), (error: Error) => error instanceof KeystoreError && error.fault === "corrupt");
});

test("a record whose key is elsewhere is read, and says so when it is opened", async () => {
  const elsewhere = readRecord(JSON.stringify({ ...made, reclaimKeystore: null, reclaimIndex: 7 }));
  assert.equal(elsewhere.reclaimIndex, 7);
  await assert.rejects(openReclaimKey(elsewhere, "any"), /holds no key/);
  const own = newRecord(info, { recipient: account, claimant: account }, 20_000n, ownReclaimKey(made.reclaimKey.slice(2)));
  assert.equal(own.address, made.address);
  assert.equal(own.reclaimKeystore, null);
  assert.throws(() => ownReclaimKey("02" + made.reclaimKey.slice(2)), /64 hexadecimal digits/);
  assert.throws(() => ownReclaimKey("ff".repeat(32)), /not a point/);
});

test("a keystore of another key than the address names does not pass for its own", async () => {
  const [record, other] = [await fresh(), await fresh()];
  await assert.rejects(openReclaimKey({ ...record, reclaimKeystore: other.reclaimKeystore }, "correct horse"), { fault: "corrupt" });
});

test("there is no address before the federation has its key", async () => {
  const key = await freshReclaimKey("correct horse", undefined, QUICK);
  assert.throws(() => newRecord({ ...info, groupKey: null }, { recipient: account, claimant: account }, 5_000n, key), /4 members are making it/);
});
