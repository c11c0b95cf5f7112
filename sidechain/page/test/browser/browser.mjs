// A real browser with the page in it, and what a reader finds there.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { url } from "./network.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** How long a test waits for what a network of many processes does. */
export const PATIENCE = 120_000;

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });

const { outputFiles } = await build({ entryPoints: [new URL("../wallet_stand_in.ts", import.meta.url).pathname], bundle: true, format: "iife", write: false });
const standIn = outputFiles[0].text;

/** Opens a view in a fresh profile, with a wallet where there is a key. What a browser complains of, and what is asked of elsewhere, ends the test that finds it. */
export async function open(browser, path = "", { key, chains = [1], scheme = "light", width = 1200 } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, acceptDownloads: true });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && !/net::ERR_|Failed to fetch/.test(message.text()) && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error.stack)));
  page.on("request", (request) => !request.url().startsWith(url) && !request.url().startsWith("blob:") && wrong.push(`asked ${request.url()}`));
  if (key) {
    await page.addInitScript((orders) => (window.walletOrders = orders), { key, chains, refuses: false, asked: [] });
    await page.addInitScript(standIn);
  }
  if (process.env.DIST) await serve(page, process.env.DIST);
  page.setDefaultTimeout(PATIENCE);
  await page.goto(`${url}/#/${path}`);
  return { page, wrong, close: async () => (assert.deepEqual(wrong, []), context.close()) };
}

/** While somebody works on the page: its files from a folder, and all else from the node. */
async function serve(page, dist) {
  const files = { "/": "index.html", "/page.js": "page.js", "/page.css": "page.css" };
  await page.route("**/*", async (route) => {
    const file = route.request().method() === "GET" ? files[new URL(route.request().url()).pathname] : undefined;
    if (!file) return route.fallback();
    const response = await route.fetch();
    return route.fulfill({ response, body: readFileSync(`${dist}/${file}`, "utf8") });
  });
}

export const text = (page) => page.locator("main").innerText();

/** Waits until the view says something, and says what it says if it does not. */
export async function says(page, words) {
  try {
    await page.locator("main").getByText(words).first().waitFor();
  } catch {
    assert.fail(`${words} is not on the page, which says:\n${await text(page)}`);
  }
}

/** What axe-core finds wrong (WCAG 2.2, A and AA, and its best practices). */
export async function violations(page) {
  // As the tool's own binding does; the page's policy lets no other script in.
  const client = await page.context().newCDPSession(page);
  await client.send("Runtime.evaluate", { expression: readFileSync(AXE, "utf8") });
  const { result } = await client.send("Runtime.evaluate", { expression: "axe.run(document).then((r) => JSON.stringify(r.violations.map((v) => [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))])))", awaitPromise: true, returnByValue: true });
  return JSON.parse(result.value);
}
