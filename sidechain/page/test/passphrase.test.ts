import assert from "node:assert/strict";
import { test } from "node:test";
import { drawPassphrase, refusedPassphrase } from "../src/bitcoin/passphrase.ts";

test("what is drawn is four groups of letters, is taken, and is never the same", () => {
  const drawn = new Set(Array.from({ length: 200 }, drawPassphrase));
  assert.equal(drawn.size, 200);
  for (const passphrase of drawn) {
    assert.match(passphrase, /^[a-z0-9]{4}(-[a-z0-9]{4}){3}$/);
    assert.equal(refusedPassphrase(passphrase, "mainnet"), undefined, passphrase);
  }
});

test("a weak passphrase is refused before coins, in words that do not show it", () => {
  for (const passphrase of ["short", "password1", "correct horse battery staple", "aaaaaaaaaaaaaaaaaaaaaaaa", "one one one one one one", "qqqq-qqqq-qqqq-qqqq", "Tr0ub4dor&3"]) {
    const refused = refusedPassphrase(passphrase, "mainnet");
    assert(refused && !refused.includes(passphrase), passphrase);
  }
  assert.equal(refusedPassphrase("password", "regtest"), undefined);
  assert.match(refusedPassphrase("1234567", "regtest") ?? "", /7 characters/);
  assert.match(refusedPassphrase("two lines\nare not one", "regtest") ?? "", /one line/);
  assert.match(refusedPassphrase("x".repeat(1_024), "regtest") ?? "", /more than 1023 bytes/);
  assert.equal(refusedPassphrase("xK8#qLm2pZw9vRt4sYb7", "mainnet"), undefined);
});
