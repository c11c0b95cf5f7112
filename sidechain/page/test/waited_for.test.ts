// The cases of bridge/src/waited_for.rs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Post, KIND, byGatherings, byKeyGeneration, bySigners, names, session } from "../src/peg/waited_for.ts";

const NETWORK = `0x${"05".repeat(32)}`;
const naming = (members: number[]) => Uint8Array.from([...members, members.length].flatMap((number) => [number >> 8, number & 0xff]));
const post = (member: number, kind: number, payload = new Uint8Array(), of = ""): Post => ({ session: of, member, kind, payload, time: 0 });

test("whom enough members named last keeps others waiting", () => {
  const commits = (member: number, named: number[]) => post(member, KIND.commitments, naming(named));
  const board = [commits(1, [3]), commits(2, [3]), commits(4, [1])];
  assert.deepEqual([...bySigners(board, 4, 3)], [[3, 2]]);
  assert.deepEqual([...bySigners([...board, post(2, KIND.approval, naming([]))], 4, 3)], [], "by an approval too");
  assert.deepEqual([...bySigners([...board, commits(2, [])], 4, 3)], [], "one alone may be lying");
  assert.deepEqual([...bySigners([...board, post(2, KIND.commitments, Uint8Array.of(9, 9))], 4, 3)], [[3, 2]], "what has not its form says nothing");
});

test("who approves nothing is named when too few do, and nobody for leaving junk alone", () => {
  const gathering = (there: number[], age: number) => ({ what: "has not approved proposal 7", there: new Set(there), age });
  const named = (...gatherings: ReturnType<typeof gathering>[]) => [...byGatherings(gatherings, 4, 3).keys()];
  assert.deepEqual(named(gathering([1, 2], 20)), [3, 4]);
  assert.equal(byGatherings([gathering([1, 2], 20)], 4, 3).get(3), "has not approved proposal 7 (2 of 3 have)");
  assert.deepEqual(named(gathering([1, 2], 19)), [], "it may still come");
  assert.deepEqual(named(gathering([1, 2, 4], 90)), [], "these are enough");
  assert.deepEqual(named(gathering([4], 90)), [], "one alone may propose anything");
  assert.deepEqual(named(gathering([1, 2], 90), gathering([1, 3], 60)), [4], "3 is alive: it refused one");
});

test("a key generation waits for whoever has not done its part in the attempt that runs", () => {
  const of = (attempt: number, member: number, kind: number) => post(member, kind, new Uint8Array(), session(NETWORK, "keygen", 1, attempt));
  const missing = (board: Post[], confirmed: number[]) => byKeyGeneration(board, NETWORK, 1, 3, new Set(confirmed));
  assert.deepEqual(missing([], []), { step: "first part of the key", missing: [1, 2, 3] });
  const board = [1, 2, 3].map((member) => of(0, member, KIND.dkgRound1));
  board.push(of(0, 2, KIND.dkgRound2));
  assert.deepEqual(missing(board, []), { step: "second part of the key", missing: [1, 3] });
  board.push(of(0, 1, KIND.dkgComplaint), of(1, 1, KIND.dkgRound1));
  assert.deepEqual(missing(board, []), { step: "first part of the key", missing: [2, 3] }, "another attempt");
  board.push(...[1, 2, 3].flatMap((member) => [of(1, member, KIND.dkgRound1), of(1, member, KIND.dkgRound2)]));
  assert.deepEqual(missing(board, [1, 3]), { step: "confirmation of the key", missing: [2] });
  assert.deepEqual(missing(board, [1, 2, 3]).missing, []);
});

test("names of hostile posts are bounded by their bytes", () => {
  assert.equal(names(Uint8Array.of(1)), undefined);
  assert.equal(names(Uint8Array.of(0xff, 0xff)), undefined);
  assert.deepEqual([...(names(naming([])) ?? [0])], []);
});
