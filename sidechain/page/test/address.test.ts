import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressError, type AddressFault, addressOfScript, payeeOfAddress, scriptOfAddress } from "../src/bitcoin/address.ts";
import { bytesOf, digitsOf } from "../src/bitcoin/bytes.ts";
import { payeeOf } from "../src/bitcoin/script.ts";
import type { BitcoinNetwork } from "../src/peg/answers.ts";

const of = (address: string): BitcoinNetwork => (/^(bc1|[13])/i.test(address) ? "mainnet" : /^bcrt1/i.test(address) ? "regtest" : "testnet4");

function fault(address: string, network: BitcoinNetwork, read: (address: string, network: BitcoinNetwork) => unknown = scriptOfAddress): AddressFault {
  try {
    read(address, network);
  } catch (error) {
    assert(error instanceof AddressError, String(error));
    return error.fault;
  }
  assert.fail(`${address} was taken`);
}

/** BIP350, "Test vectors for v0-v16 native segregated witness addresses". */
const VALID: [address: string, script: string][] = [
  ["BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"],
  ["tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262"],
  [
    "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
    "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
  ],
  ["BC1SW50QGDZ25J", "6002751e"],
  ["bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "5210751e76e8199196d454941c45d1b3a323"],
  ["tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy", "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433"],
  ["tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433"],
  ["bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"],
];

/** BIP350 and BIP173, addresses that are none, and why. */
const INVALID: [address: string, fault: AddressFault][] = [
  ["tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut", "network"],
  ["bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "encoding"],
  ["tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf", "encoding"],
  ["BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", "encoding"],
  ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "encoding"],
  ["tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", "encoding"],
  ["bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "letters"],
  ["BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "version"],
  ["bc1pw5dgrnzv", "length"],
  ["bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav", "length"],
  ["BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "length"],
  ["tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", "case"],
  ["bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "padding"],
  ["tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "padding"],
  ["bc1gmk9yu", "length"],
  ["tc1qw508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty", "network"],
  ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum"],
  ["BC13W508D6QEJXTDG4Y5R3ZARVARY0C5XW7KN40WF2", "version"],
  ["bc1rw5uspcuh", "encoding"],
  ["bc10w508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kw5rljs90", "encoding"],
  ["tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sL5k7", "case"],
  ["bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du", "encoding"],
  ["tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3pjxtptv", "padding"],
];

/** BIP341, wallet-test-vectors.json, "scriptPubKey". */
const TAPROOT: [script: string, address: string][] = [
  ["512053a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343", "bc1p2wsldez5mud2yam29q22wgfh9439spgduvct83k3pm50fcxa5dps59h4z5"],
  ["5120147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3", "bc1pz37fc4cn9ah8anwm4xqqhvxygjf9rjf2resrw8h8w4tmvcs0863sa2e586"],
  ["5120e4d810fd50586274face62b8a807eb9719cef49c04177cc6b76a9a4251d5450e", "bc1punvppl2stp38f7kwv2u2spltjuvuaayuqsthe34hd2dyy5w4g58qqfuag5"],
];

/** The hash of the generator's key, under the two old kinds, on both kinds of networks. */
const OLD: [address: string, network: BitcoinNetwork, script: string][] = [
  ["1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", "mainnet", "76a914751e76e8199196d454941c45d1b3a323f1433bd688ac"],
  ["mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r", "regtest", "76a914751e76e8199196d454941c45d1b3a323f1433bd688ac"],
  ["3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN", "mainnet", "a914bcfeb728b584253d5f3f70bcb780e9ef218a68f487"],
];

test("addresses of BIP350 make their scripts, and scripts their addresses", () => {
  for (const [address, script] of [...VALID, ...TAPROOT.map(([script, address]): [string, string] => [address, script])]) {
    assert.equal(digitsOf(scriptOfAddress(address, of(address))), script);
    assert.equal(addressOfScript(bytesOf(script) as Uint8Array, of(address)), address.toLowerCase());
  }
});

test("addresses of the old kinds make their scripts, and scripts their addresses", () => {
  for (const [address, network, script] of OLD) {
    assert.equal(digitsOf(scriptOfAddress(address, network)), script);
    assert.equal(addressOfScript(bytesOf(script) as Uint8Array, network), address);
  }
});

test("what BIP173 and BIP350 call invalid is refused, each for its own reason", () => {
  for (const [address, why] of INVALID) assert.equal(fault(address, /^tb/i.test(address) ? "testnet4" : "mainnet"), why, address);
});

test("an address of another network is refused, and is said to be one", () => {
  const cases: [string, BitcoinNetwork, RegExp][] = [
    ["bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "regtest", /an address of mainnet: it begins with bc1.*on regtest.*begin with bcrt1/],
    ["tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", "regtest", /an address of testnet4 or signet: it begins with tb1/],
    ["tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", "mainnet", /on mainnet/],
    ["bcrt1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3q9m6dcl", "signet", /an address of regtest: it begins with bcrt1/],
    ["1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", "signet", /an address of mainnet: it begins with 1\./],
    ["mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r", "mainnet", /an address of a test network: it begins with m\./],
  ];
  for (const [address, network, words] of cases) {
    assert.equal(fault(address, network), "network");
    assert.throws(() => scriptOfAddress(address, network), { message: words });
  }
});

test("each fault of what was typed has its own sentence, which says what was seen", () => {
  const good = "bcrt1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3q9m6dcl";
  const cases: [string, AddressFault, RegExp][] = [
    ["", "empty", /no address yet/],
    ["x".repeat(91), "long", /91 characters/],
    [`${good} `, "letters", /has a space.*character 65/],
    [good.replace("3q9", "3b9"), "letters", /“b”.*character 58/],
    [good.replace("bcrt1pv", "bcrt1pV"), "case", /mixes small and capital/],
    [good.slice(0, -1), "checksum", /checksum.*is wrong/],
    [good.slice(0, 9), "checksum", /cut off/],
    ["1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMJ", "checksum", /checksum.*is wrong/],
    ["1BgGZ9tcN4rm9KBzDn7KprQz87SZ26S", "length", /has 23 bytes.*has 25/],
    ["1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SA0H", "letters", /“0”.*character 33/],
    ["0x1111111111111111111111111111111111111111", "letters", /“0”/],
    ["5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", "secret", /private key/],
  ];
  for (const [text, why, words] of cases) {
    assert.equal(fault(text, "regtest"), why, text);
    assert.throws(() => scriptOfAddress(text, "regtest"), { message: words });
  }
});

test("the bridge pays what the contract takes, from the amounts on that Bitcoin Core relays", () => {
  // Bitcoin Core's own numbers, at its default dust relay rate; P2A is relayed there, and nobody's own.
  const cases: [string, string | undefined, bigint?][] = [
    [`76a914${"11".repeat(20)}88ac`, "P2PKH", 546n],
    [`a914${"11".repeat(20)}87`, "P2SH", 540n],
    [`0014${"11".repeat(20)}`, "P2WPKH", 294n],
    [`0020${"11".repeat(32)}`, "P2WSH", 330n],
    [`5120${"11".repeat(32)}`, "P2TR", 330n],
    ["6002751e", "witness", 240n],
    [`5228${"11".repeat(40)}`, "witness", 354n],
    ["51024e73", undefined],
    [`5128${"11".repeat(40)}`, undefined],
    [`0015${"11".repeat(21)}`, undefined],
    [`5229${"11".repeat(41)}`, undefined],
    ["520111", undefined],
    [`6120${"11".repeat(32)}`, undefined],
    [`4f20${"11".repeat(32)}`, undefined],
    [`5121${"11".repeat(32)}`, undefined],
    [`76a914${"11".repeat(20)}88ad`, undefined],
    ["6a0568656c6c6f", undefined],
    ["", undefined],
  ];
  for (const [script, template, dust] of cases) {
    const payee = payeeOf(bytesOf(script) as Uint8Array);
    assert.deepEqual([payee?.template, payee?.dustSat], [template, dust], script);
  }
});

test("an address that Bitcoin knows and the bridge does not pay is refused with a sentence", () => {
  assert.equal(fault("bc1pfeessrawgf", "mainnet", payeeOfAddress), "unpaid");
  assert.throws(() => payeeOfAddress("bc1pfeessrawgf", "mainnet"), { message: /witness version 1 with 2 bytes/ });
  assert.equal(payeeOfAddress("BC1SW50QGDZ25J", "mainnet").template, "witness");
});

test("every script that has an address on a network comes back from it", () => {
  let seed = 1;
  const byte = () => (seed = (seed * 48_271) % 0x7fffffff) & 0xff;
  const bytes = (length: number) => digitsOf(Uint8Array.from({ length }, byte));
  for (const network of ["mainnet", "testnet4", "signet", "regtest"] as const) {
    for (let length = 2; length <= 40; length += 1) {
      for (const script of [`51${length.toString(16).padStart(2, "0")}${bytes(length)}`, `60${length.toString(16).padStart(2, "0")}${bytes(length)}`, `a914${bytes(20)}87`, `76a914${bytes(20)}88ac`]) {
        const address = addressOfScript(bytesOf(script) as Uint8Array, network) as string;
        assert.equal(digitsOf(scriptOfAddress(address, network)), script, address);
      }
    }
  }
});
