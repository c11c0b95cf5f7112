import assert from "node:assert/strict";
import { test } from "node:test";
import { paymentCode, paymentLink, readPayment } from "../src/bitcoin/link.ts";
import { qrPath } from "../src/bitcoin/qr.ts";

const address = "bcrt1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3q9m6dcl";

test("a payment link names the amount in BTC, to the satoshi (BIP21)", () => {
  assert.equal(paymentLink({ address }), `bitcoin:${address}`);
  assert.equal(paymentLink({ address, amountSat: 1n }), `bitcoin:${address}?amount=0.00000001`);
  assert.equal(paymentLink({ address, amountSat: 10_000_000n }), `bitcoin:${address}?amount=0.1`);
  assert.equal(paymentLink({ address, amountSat: 2_100_000_000_000_000n }), `bitcoin:${address}?amount=21000000`);
  assert.throws(() => paymentLink({ address, amountSat: -1n }));
});

test("a code of an address alone is in capitals, but where they are told apart, and reads as the same payment", () => {
  assert.equal(paymentCode({ address }), `BITCOIN:${address.toUpperCase()}`);
  assert.deepEqual(readPayment(paymentCode({ address })), { address: address.toUpperCase() });
  assert.equal(paymentCode({ address: "mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r" }), "bitcoin:mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r");
  const payment = { address, amountSat: 12_345_678n };
  assert.deepEqual(readPayment(paymentCode(payment)), payment);
});

test("a link or an address is read from what was pasted, and what is not understood is not guessed", () => {
  assert.deepEqual(readPayment(` ${address}\n`), { address });
  assert.deepEqual(readPayment(`bitcoin:${address}?label=me&amount=0.5`), { address, amountSat: 50_000_000n });
  assert.deepEqual(readPayment(`BITCOIN:${address}`), { address });
  assert.deepEqual(readPayment(`bitcoin:${address}?AMOUNT=1`), { address, amountSat: 100_000_000n });
  for (const query of ["amount=0.000000001", "amount=-1", "amount=1e3", "amount=", "amount=1,5", "req-tor=1", "amount=123456789", "amount=1&amount=2"]) {
    assert.equal(readPayment(`bitcoin:${address}?${query}`), undefined, query);
  }
  assert.equal(readPayment("x".repeat(2_001)), undefined);
});

test("capitals make a smaller code", () => {
  assert(qrPath(paymentCode({ address })).size < qrPath(paymentLink({ address })).size);
});

test("a code's dark modules are where the standard puts its finders", () => {
  const { path, size } = qrPath("A");
  // Version 1: 21 modules, and four of quiet around; a finder's upper edge is seven dark modules at the left and at the right.
  assert.equal(size, 29);
  assert(path.startsWith("M4 4h7v1h-7z") && path.includes("M18 4h7v1h-7z") && path.includes("M4 24h7v1h-7z"), path);
});
