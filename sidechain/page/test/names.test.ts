import assert from "node:assert/strict";
import { test } from "node:test";
import { plainName } from "../src/draw/names.ts";

test("a name is seen as it is, and turns or lengthens no sentence", () => {
  assert.equal(plainName("operator-1"), "operator-1");
  assert.equal(plainName("a\u202eb\u2066c\u200b\nd"), "abcd");
  assert.equal(plainName("x".repeat(500)).length, 60);
  assert.equal(plainName("\u05d0\u05d1"), "\u2068\u05d0\u05d1\u2069", "letters from the right stand apart");
});
