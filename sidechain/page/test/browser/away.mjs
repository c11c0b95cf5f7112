// A node that goes away: what is shown stays, says so, and goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, says, text } from "./browser.mjs";
import { KEYS, dev } from "./network.mjs";
import { PASSPHRASE, connect } from "./owner.mjs";

/** The line above every view. */
const away = (page) => page.locator(".bar", { hasText: "The node does not answer" });

test("a node that goes away is told, what was shown stays, and it goes on when the node is back", async () => {
  const reader = await open();
  await says(reader.page, "Yes, every satoshi");
  const { page, close } = await open("in", { key: KEYS[0] });
  await connect(page);
  await page.getByLabel("How much you will pay").fill("0.2");
  await page.getByLabel("A passphrase for the key").fill(PASSPHRASE);
  await dev("kill", "validator-1");
  try {
    await away(reader.page).waitFor();
    await says(reader.page, "Yes, every satoshi");
    console.log(await reader.page.locator(".bar").innerText());
    // Another view says it too, and keeps asking.
    await reader.page.getByRole("link", { name: "Blocks" }).click();
    await away(reader.page).waitFor();
    // Before money moves, nothing is made that could not be checked; and what was typed stays.
    await page.getByRole("button", { name: "Make the record" }).click();
    await page.getByRole("alert").getByText(/./).first().waitFor();
    console.log(await page.getByRole("alert").first().innerText());
    assert.equal(await page.getByLabel("How much you will pay").inputValue(), "0.2");
    assert.doesNotMatch(await text(page), /Save the record/);
  } finally {
    await dev("start", "validator-1");
  }
  await away(reader.page).waitFor({ state: "detached" });
  await reader.page.locator("main table tbody tr").first().waitFor();
  await reader.close();
  await away(page).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Make the record" }).click();
  await says(page, "Save the record before you pay");
  await close();
});
