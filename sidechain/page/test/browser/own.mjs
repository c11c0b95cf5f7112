// The page of what is an owner's: their own by the wallet, another's by the link.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, ready, says, text } from "./browser.mjs";
import { KEYS } from "./network.mjs";
import { connect, other, owner } from "./owner.mjs";

const current = (page) => page.locator("nav a[aria-current]").allInnerTexts();

test("an account of another is never said to be the reader's, with a wallet and without one", async () => {
  for (const key of [undefined, KEYS[0]]) {
    const { page, close } = await open("own", { key });
    if (key) {
      await connect(page);
      await says(page, /for an act of yours|Waits for you/);
    }
    await page.goto(`${page.url().split("#")[0]}#/own/${other}`);
    await says(page, /^(No money waits for an act of its owner, as far|Waits for its owner$)/);
    await ready(page);
    assert.doesNotMatch(await text(page), /\b(yours?|you)\b/i);
    assert.doesNotMatch(await page.title(), /yours/i);
    assert.deepEqual(await current(page), [], "no place of the reader's is open");
    await close();
  }
});

test("one's own account is one's own by its link, too", async () => {
  const { page, close } = await open("own", { key: KEYS[0] });
  await connect(page);
  await page.goto(`${page.url().split("#")[0]}#/own/${owner}`);
  await says(page, /for an act of yours|Waits for you/);
  assert.deepEqual(await current(page), ["Yours"]);
  await close();
});
