// Pictures of what the page shows, by day and night, for README and docs/page.md: `PICTURES=FOLDER` keeps them.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { open, ready, says } from "./browser.mjs";
import { KEYS } from "./network.mjs";
import { connect, folder, makeAddress, order } from "./owner.mjs";
import { requests } from "./requests.mjs";

const keptIn = process.env.PICTURES ?? folder;
const WIDTH = 1_100;
/** Larger ones would make the repository heavy; an empty screen has less than the other. */
const [LEAST_BYTES, MOST_BYTES] = [10_000, 200_000];

async function picture(page, name, { width = WIDTH, height = 760 } = {}) {
  await page.setViewportSize({ width, height });
  // The cursor and what waits would differ from time to time.
  await page.evaluate(() => document.activeElement?.blur());
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { length } = await page.screenshot({ path: join(keptIn, `${name}-${colorScheme}.png`), caret: "hide" });
    assert.ok(length > LEAST_BYTES && length < MOST_BYTES, `${name}-${colorScheme}.png has ${length} bytes`);
    console.log(`${name}-${colorScheme}.png: ${Math.ceil(length / 1000)} kB`);
  }
}

test("what the page shows can be pictured, by day and night", async () => {
  const { withdrawal: { id } } = await requests();
  const views = [
    ["overview", "", /Proven in this browser, by block/],
    ["evidence", "evidence", "Every satoshi is there"],
    ["withdrawal", `withdrawal/${id}`, /Proven in this browser, by block/],
    ["phone", "", /Proven in this browser, by block/, { width: 390, height: 844 }],
  ];
  for (const [name, view, words, size] of views) {
    const { page, close } = await open(view);
    await ready(page);
    await says(page, words);
    if (view === "") await says(page, "Reserves and flows");
    await picture(page, name, size);
    await close();
  }
});

test("the owner's ways in and out can be pictured", async () => {
  const out = await open("out", { key: KEYS[0], width: WIDTH });
  await connect(out.page);
  await order(out.page, { amount: "0.05" });
  await picture(out.page, "out");
  await out.close();
  const { page, close } = await open("in", { key: KEYS[0], width: WIDTH });
  await connect(page);
  await makeAddress(page, { amount: "0.2", name: "pictured.json" });
  await picture(page, "in");
  await close();
});
