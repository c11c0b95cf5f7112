import assert from "node:assert/strict";
import { test } from "node:test";
import { newestLogs } from "../src/chain/logs.ts";
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
