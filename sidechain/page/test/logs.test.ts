import assert from "node:assert/strict";
import { test } from "node:test";
import { newestLogs, recentLogs } from "../src/chain/logs.ts";
import { type Node, NodeError } from "../src/node.ts";

/** A node with one log in each block, that answers at most `most` at once. */
function nodeWith(most: number, each = 1): { node: Node; asked: () => number } {
  let asked = 0;
  const ask = async (_method: string, { fromBlock, toBlock }: { fromBlock: string; toBlock: string }) => {
    asked++;
    const [from, to] = [Number(fromBlock), Number(toBlock)];
    if ((to - from + 1) * each > most) throw new NodeError(-32005, "Try with this block range");
    return Array.from({ length: (to - from + 1) * each }, (_, nth) => ({ blockNumber: `0x${(from + Math.floor(nth / each)).toString(16)}`, logIndex: `0x${(nth % each).toString(16)}` }));
  };
  return { node: { ask } as unknown as Node, asked: () => asked };
}
const numbers = (logs: { blockNumber: string }[]) => logs.map(({ blockNumber }) => Number(blockNumber));

test("the newest come first, and pages follow each other without a gap, of a hundred thousand logs too", async () => {
  const { node, asked } = nodeWith(20_000);
  const first = await newestLogs(node, {}, 100_000, 25);
  assert.deepEqual(numbers(first.logs).slice(0, 2), [100_000, 99_999]);
  assert.equal(first.below, 100_000 - first.logs.length);
  const second = await newestLogs(node, {}, first.below as number, 25);
  assert.equal(numbers(second.logs)[0], first.below);
  assert.ok(asked() < 10, `${asked()} questions`);
});

test("where too many are in a range, a smaller one is asked for", async () => {
  const { node, asked } = nodeWith(40);
  const { logs, below } = await newestLogs(node, {}, 5_000, 25);
  assert.ok(logs.length >= 25 && numbers(logs)[0] === 5_000);
  assert.ok(below !== undefined && asked() < 12);
});

test("the last page says that there are no more", async () => {
  const { node } = nodeWith(20_000);
  const { logs, below } = await newestLogs(node, {}, 9, 25);
  assert.deepEqual([logs.length, below], [10, undefined]);
});

test("one block with more logs than a page has is cut, and its rest counted", async () => {
  const { node } = nodeWith(20_000, 3_000);
  const { logs, below } = await newestLogs(node, {}, 3, 25);
  assert.ok(logs.length <= 1_000 && below !== undefined && below < 3);
});

test("what was asked for before is not asked for again, and what is too old is forgotten", async () => {
  const { node, asked } = nodeWith(20_000);
  const first = await recentLogs(node, {}, 0, 100, 500);
  assert.equal(first.length, 101);
  const before = asked();
  assert.equal(await recentLogs(node, {}, 0, 100, 500), first);
  assert.equal(asked(), before);
  const next = await recentLogs(node, {}, 50, 103, 500);
  assert.deepEqual(numbers(next), Array.from({ length: 54 }, (_, nth) => 103 - nth));
  assert.equal(asked(), before + 1);
  assert.equal(numbers(await recentLogs(node, {}, 0, 20, 500))[0], 20, "a chain that began anew is asked for anew");
});
