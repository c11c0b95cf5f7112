// The first screen, and what no view may do.
import assert from "node:assert/strict";
import { test } from "node:test";
import { aSecond, drawnAfter, open, quickest, says } from "./browser.mjs";
import { rpc, url } from "./network.mjs";

const QUESTIONS = ["Is everything there?", "Yes, every satoshi", "Does everything work?", "How long does it take now?", "In: "];

test("the first screen answers within a second whether all is there, whether all works, and how long it takes", async () => {
  const took = await quickest(async () => {
    const { page, close } = await open("", { awaited: QUESTIONS });
    const took = await drawnAfter(page);
    await close();
    return took;
  });
  console.log(`the first screen took ${took} ms, in a new profile`);
  assert.ok(took < aSecond(), `${took} ms`);
});

test("the first screen proves what it says, and draws what was", async () => {
  const { page, close } = await open();
  await says(page, /Proven in this browser, by block/);
  await says(page, "Reserves and flows");
  const { books } = await rpc("peg_getInfo");
  const there = page.locator("table.sum").first();
  const said = (await there.locator("tfoot td").getAttribute("title")).replace(/\D/g, "");
  assert.ok(Math.abs(Number(said) - books.vaultSat) < 1e8, `${said} sat on the screen, ${books.vaultSat} sat by the books`);
  await close();
});

test("the page loads nothing of elsewhere, and its policy lets nothing in", async () => {
  const response = await fetch(`${url}/`);
  const policy = response.headers.get("content-security-policy");
  console.log(policy);
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) {
    assert.ok(policy.includes(part), `${part} is not in ${policy}`);
  }
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  const { page } = await open();
  await says(page, "Is everything there?");
  const ran = await page.evaluate(async (page) => {
    const script = Object.assign(document.createElement("script"), { textContent: "window.wasLetIn = true" });
    document.body.append(script);
    const elsewhere = await fetch(page.replace("127.0.0.1", "localhost")).then(() => true, () => false);
    return { script: window.wasLetIn === true, elsewhere };
  }, `${url}/`);
  assert.deepEqual(ran, { script: false, elsewhere: false });
  await page.context().close();
});
