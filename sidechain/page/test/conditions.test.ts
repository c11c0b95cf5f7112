import assert from "node:assert/strict";
import { test } from "node:test";
import type { Info, Limits } from "../src/peg/answers.ts";
import { conditions } from "../src/peg/conditions.ts";

const NOW = 1_000_000;
const limits = { pausedUntil: 0, alarmed: false, missingSat: 0, stopSat: 10, stopped: false, windowLeftSat: 10, windowSat: 10, windowSeconds: 3_600 } as Limits;
const of = (headAge: number, provenAge?: number) =>
  conditions({ head: { timestamp: NOW - headAge }, groupKey: "0x00", bitcoinNetwork: "regtest", bitcoinTip: { lagSeconds: 0 } } as Info, limits, NOW, provenAge).map(({ text }) => text);

test("a node that says that it is new is believed no longer than it proves it", () => {
  assert.deepEqual(of(2), []);
  assert.deepEqual(of(2, 60), []);
  assert.match(of(2, 61).join(), /^The newest block that the node can prove/);
  assert.match(of(61, 61).join(), /^The newest block is 1 minute/);
  assert.match(of(-61, 2).join(), /ahead of this device/);
});
