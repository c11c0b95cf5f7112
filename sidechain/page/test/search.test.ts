import assert from "node:assert/strict";
import { test } from "node:test";
import { understand } from "../src/search.ts";

const TXID = "b348edb6a4bf883b952308b0e03fb5b2a566850845b4c63dbd14d05a328d1f65";
const DEPOSIT = "bcrt1ppcswftzh4ek75gwf5m0hgd62ssw4lc8gc2jct7am7j9v9fj4epkq6n2lk7";
const PAYOUT = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

const meant = (text: string) => understand(text, "regtest").meanings;
const wrong = (text: string) => {
  const { meanings, wrong: why } = understand(text, "regtest");
  assert.deepEqual(meanings, [], text);
  return why ?? "";
};

test("each thing that a person has is understood", () => {
  assert.deepEqual(meant(ACCOUNT), [{ is: "account", address: ACCOUNT.toLowerCase() }]);
  assert.deepEqual(meant(`${TXID}:9`), [{ is: "outpoint", txid: TXID, vout: 9 }]);
  assert.deepEqual(meant(`0x${TXID}`), [{ is: "hash", digits: TXID }]);
  assert.deepEqual(meant(TXID), [{ is: "hash", digits: TXID }]);
  assert.deepEqual(meant("7"), [{ is: "number", number: 7 }]);
  assert.deepEqual(meant("withdrawal 7"), [{ is: "number", number: 7, of: "withdrawal" }]);
  assert.deepEqual(meant("Vault #12"), [{ is: "number", number: 12, of: "vault" }]);
  assert.deepEqual(meant("block 1 000"), [{ is: "number", number: 1000, of: "block" }]);
  assert.deepEqual(meant("0x4b9"), [{ is: "number", number: 1209, of: "block" }]);
  assert.deepEqual(meant(PAYOUT), [{ is: "bitcoin", address: PAYOUT, script: "0x0014751e76e8199196d454941c45d1b3a323f1433bd6" }]);
  const [deposit] = meant(DEPOSIT);
  assert.ok(deposit?.is === "bitcoin" && deposit.script === `0x5120${deposit.outputKey?.slice(2)}`, "a taproot address has an output key");
  const script = "0x0014751e76e8199196d454941c45d1b3a323f1433bd6";
  assert.deepEqual(meant(script), [{ is: "script", script }]);
  assert.deepEqual(meant(script.slice(2).toUpperCase()), [{ is: "script", script }]);
});

test("white space, capitals, quotes and links around it change nothing", () => {
  const plain = meant(DEPOSIT);
  for (const text of [`  ${DEPOSIT}\n`, DEPOSIT.toUpperCase(), `bitcoin:${DEPOSIT}?amount=0.1`, `BITCOIN:${DEPOSIT.toUpperCase()}`, `"${DEPOSIT}"`, `${DEPOSIT.slice(0, 20)} ${DEPOSIT.slice(20)}`, `\u200b${DEPOSIT}.`, `bitcoin:${DEPOSIT}?req-x=1`]) {
    assert.deepEqual(meant(text), plain, text);
  }
  for (const text of [ACCOUNT.toUpperCase(), `ethereum:${ACCOUNT}@51717?value=1`, `ethereum:pay-${ACCOUNT}`, ACCOUNT.slice(2).toLowerCase()]) {
    assert.deepEqual(meant(text), [{ is: "account", address: ACCOUNT.toLowerCase() }], text);
  }
  assert.deepEqual(meant(`https://mempool.space/testnet4/tx/${TXID}`), meant(TXID));
  assert.deepEqual(meant("http://127.0.0.1:8545/#/withdrawal/7"), [{ is: "number", number: 7, of: "withdrawal" }]);
  assert.deepEqual(meant(`http://127.0.0.1:8545/#/deposit/${TXID}%3A9`), meant(`${TXID}:9`));
  assert.deepEqual(meant(`0X${TXID.toUpperCase()}`), meant(TXID));
});

test("what is wrong is told with what is wrong about it", () => {
  assert.match(wrong(`${DEPOSIT.slice(0, -1)}q`), /checksum/);
  assert.match(wrong(`${ACCOUNT.slice(0, -1)}7`), /checksum/);
  assert.match(wrong("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), /mainnet/);
  assert.match(wrong("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"), /mainnet/);
  assert.match(wrong(`${TXID}:4294967296`), /output/);
  assert.match(wrong(TXID.slice(0, 60)), /60 hex digits/);
  assert.match(wrong("0xzz"), /letters/);
  assert.match(wrong("hello"), /no address/);
  assert.match(wrong("x".repeat(401)), /401 characters/);
  assert.match(wrong("   "), /nothing/);
  assert.match(wrong("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"), /private key/);
});
