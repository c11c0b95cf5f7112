import assert from "node:assert/strict";
import { test } from "node:test";
import { schnorr } from "@noble/curves/secp256k1.js";
import type { Hex } from "viem";
import answered from "./data/deposit-addresses.json";
import { bytesOf, digitsOf } from "../src/bitcoin/bytes.ts";
import { type Peg, type Terms, commitment, depositAddress, depositOutput, leafScript, tapLeaf, tweaked } from "../src/bitcoin/deposit.ts";

const hex = (byte: string, length: number): Hex => `0x${byte.repeat(length)}`;
const publicKey = (byte: string): Hex => `0x${digitsOf(schnorr.getPublicKey(bytesOf(byte.repeat(32)) as Uint8Array))}`;

const peg = (reclaimDelay: number): Peg => ({ networkId: `0x${"00".repeat(30)}ca05`, bridge: "0xca05000000000000000000000000000000000004", reclaimDelay });
const terms: Terms = { recipient: hex("11", 20), claimant: hex("22", 20), reclaimKey: publicKey("02"), maxFeeSat: 5_000n, dataHash: hex("33", 32) };
const group = publicKey("01");

/** The vectors of mainchain/tests/deposits.rs, `deposit_bytes_are_frozen`. */
test("deposit bytes are frozen, and the same as the program's", () => {
  const output = depositOutput(peg(1008), terms, group);
  assert.equal(digitsOf(commitment(peg(1008), terms)), "62be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a");
  const leaf = (delay: string) =>
    `2062be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a75${delay}b275204d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766ac`;
  assert.equal(digitsOf(output.leaf), leaf("02f003"));
  assert.equal(digitsOf(output.merkleRoot), "66b0b6a782e4028ed14ff764f2fc6d30a63a522ba6f98fa4a61be7829c518456");
  assert.equal(digitsOf(output.outputKey), "6184c8f19a24b188c8eeea29495d3c2107676912df4d23f20471ca44bc0bdf62");
  const addresses = {
    mainnet: "bc1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3ql2xyh2",
    testnet4: "tb1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3qgzstd9",
    signet: "tb1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3qgzstd9",
    regtest: "bcrt1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3q9m6dcl",
  } as const;
  for (const network of ["mainnet", "testnet4", "signet", "regtest"] as const) assert.equal(depositAddress(peg(1008), terms, group, network), addresses[network]);
  // Delays up to 16 are one opcode, from 128 on two bytes, from 32768 on three.
  for (const [delay, pushed] of [[16, "60"], [17, "0111"], [128, "028000"], [65_535, "03ffff00"]] as const) assert.equal(digitsOf(leafScript(peg(delay), terms)), leaf(pushed));
});

/** BIP341, wallet-test-vectors.json, "scriptPubKey" 1 and 2: trees of one leaf. */
test("one leaf tweaks a key as BIP341 says", () => {
  const cases: [key: Hex, script: string, leaf: string, output: string][] = [
    [
      "0x187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27",
      "20d85a959b0290bf19bb89ed43c916be835475d013da4b362117393e25a48229b8ac",
      "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21",
      "147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3",
    ],
    [
      "0x93478e9488f956df2396be2ce6c5cced75f900dfa18e7dabd2428aae78451820",
      "20b617298552a72ade070667e86ca63b8f5789a9fe8731ef91202a91c9f3459007ac",
      "c525714a7f49c28aedbbba78c005931a81c234b2f6c99a73e4d06082adc8bf2b",
      "e4d810fd50586274face62b8a807eb9719cef49c04177cc6b76a9a4251d5450e",
    ],
  ];
  for (const [key, script, leaf, output] of cases) {
    const root = tapLeaf(bytesOf(script) as Uint8Array);
    assert.equal(digitsOf(root), leaf);
    assert.equal(digitsOf(tweaked(key, root)), output);
  }
});

test("each term changes the address", () => {
  const changed: [Peg, Terms, Hex][] = [
    [peg(1008), terms, group],
    [peg(1008), terms, publicKey("03")],
    [peg(1009), terms, group],
    [{ ...peg(1008), networkId: hex("01", 32) }, terms, group],
    [{ ...peg(1008), bridge: hex("04", 20) }, terms, group],
    [peg(1008), { ...terms, recipient: hex("12", 20) }, group],
    [peg(1008), { ...terms, claimant: hex("12", 20) }, group],
    [peg(1008), { ...terms, reclaimKey: publicKey("04") }, group],
    [peg(1008), { ...terms, dataHash: hex("00", 32) }, group],
    [peg(1008), { ...terms, maxFeeSat: 5_001n }, group],
  ];
  assert.equal(new Set(changed.map(([peg, terms, key]) => depositAddress(peg, terms, key, "regtest"))).size, changed.length);
});

test("what makes no address, or one whose money nobody could take back, is refused", () => {
  const off = hex("ff", 32);
  const refused: [Peg, Terms, Hex, RegExp][] = [
    [peg(0), terms, group, /delay of 0/],
    [peg(65_536), terms, group, /delay of 65536/],
    [peg(1.5), terms, group, /delay of 1.5/],
    [peg(1008), terms, off, /the federation's key.* is not a point/],
    [peg(1008), { ...terms, reclaimKey: off }, group, /the reclaim key.* is not a point/],
    [peg(1008), { ...terms, recipient: "0x11" }, group, /0x11 is not 20 bytes/],
    [peg(1008), { ...terms, dataHash: `${hex("33", 31)}3` as Hex }, group, /is not 32 bytes/],
    [peg(1008), { ...terms, recipient: `0x${"zz".repeat(20)}` }, group, /is not 20 bytes/],
    [peg(1008), { ...terms, maxFeeSat: 1n << 64n }, group, /does not fit 8 bytes/],
    [peg(1008), { ...terms, maxFeeSat: -1n }, group, /does not fit/],
  ];
  for (const [peg, terms, key, words] of refused) assert.throws(() => depositAddress(peg, terms, key, "regtest"), { message: words });
});

test("a node answers the same address for each of its terms", () => {
  const { networkId, bridge, reclaimDelay, groupKey, addresses } = answered;
  for (const [recipient, claimant, reclaimKey, maxFee, dataHash, address] of addresses) {
    const terms = { recipient, claimant, reclaimKey, maxFeeSat: BigInt(maxFee as number), dataHash } as Terms;
    assert.equal(depositAddress({ networkId, bridge, reclaimDelay } as Peg, terms, groupKey as Hex, "regtest"), address);
  }
});
