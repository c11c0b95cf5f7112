// A real browser with the page in it, and what a reader finds there.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg } from "node:os";
import { after } from "node:test";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { url } from "./network.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** How long a test waits for what a network of many processes does. */
export const PATIENCE = 120_000;
/** Of what has to be fast, the quickest of so many tries counts: how fast the page is, and not what else the machine does. */
const TRIES = 12;

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
after(() => browser.close());

const { outputFiles } = await build({ entryPoints: [new URL("../wallet_stand_in.ts", import.meta.url).pathname], bundle: true, format: "iife", write: false });
const standIn = outputFiles[0].text;

/**
 * Opens a view in a fresh profile: with a wallet where there is a `key`, and with a node that lies where there are `lies`, by the method whose answer they change.
 * What a browser complains of, and what is asked of elsewhere, fails the test that closes it. `awaited`: words that are looked for from the first moment on. `at`: of another
 * network's node.
 */
export async function open(path = "", { key, chains = [1], scheme = "light", width = 1200, lies, awaited = [], at = url } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, acceptDownloads: true });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && !/net::ERR_|Failed to fetch/.test(message.text()) && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error.stack)));
  page.on("request", (request) => !request.url().startsWith(`${at}/`) && !request.url().startsWith("blob:") && wrong.push(`asked ${request.url()}`));
  page.on("websocket", (socket) => wrong.push(`opened ${socket.url()}`));
  await page.addInitScript(watch, awaited);
  if (key) {
    await page.addInitScript((orders) => (window.walletOrders = orders), { key, chains, refuses: false, asked: [] });
    await page.addInitScript(standIn);
  }
  if (process.env.DIST) await serve(page, process.env.DIST);
  if (lies) await page.route(`${at}/`, (route) => lie(route, lies));
  page.setDefaultTimeout(PATIENCE);
  await page.goto(`${at}/#/${path}`);
  const close = async () => {
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await context.close();
    assert.deepEqual(wrong, []);
  };
  return { page, close };
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

/** Stands between the page and the node, and changes answers. */
async function lie(route, lies) {
  if (route.request().method() !== "POST") return route.fallback();
  const asked = [route.request().postDataJSON()].flat();
  if (!asked.some(({ method }) => lies[method])) return route.fallback();
  let response;
  let answers;
  try {
    response = await route.fetch();
    answers = await response.json();
  } catch {
    // The view was left, or the node is away.
    return route.abort();
  }
  const changed = async (answer) => {
    const { method, params } = asked.find(({ id }) => id === answer.id);
    return lies[method] && "result" in answer ? { ...answer, result: await lies[method](answer.result, params) } : answer;
  };
  return route.fulfill({ response, json: await (Array.isArray(answers) ? Promise.all(answers.map(changed)) : changed(answers)) });
}

/** Runs in the page: when all that is looked for was first drawn, without the time that a test's own questions take. From its first moment, or from when a form was sent. */
function watch(awaited) {
  const drawn = (window.drawn = { awaited, from: 0, at: undefined });
  const look = () => {
    const main = document.querySelector("main");
    if (drawn.at !== undefined || !main || !drawn.awaited.length || main.querySelector(".waiting")) return;
    if (drawn.awaited.every((words) => main.textContent.includes(words))) drawn.at = performance.now() - drawn.from;
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  document.addEventListener("submit", () => (drawn.from = performance.now()), true);
}

/** Milliseconds until the words that were awaited were drawn. */
export async function drawnAfter(page) {
  try {
    await page.waitForFunction(() => window.drawn.at !== undefined, null, { timeout: 30_000 });
  } catch {
    assert.fail(`${JSON.stringify(await page.evaluate(() => window.drawn.awaited))} is not on the page, which says:\n${await text(page)}`);
  }
  return page.evaluate(() => window.drawn.at);
}

/** A second, for a machine that does nothing else; longer in the measure in which more wants to run than there are cores. */
export const aSecond = () => 1_000 * Math.max(1, loadavg()[0] / cpus().length);

/** Milliseconds of the quickest of some tries; the first within a second is enough. */
export async function quickest(measure) {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && least >= aSecond(); tries++) least = Math.min(least, await measure());
  return Math.round(least);
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

/** Until a view is drawn with what the node said. */
export async function ready(page) {
  await page.locator("main h1").first().waitFor({ state: "attached" });
  await page.locator("main .waiting").first().waitFor({ state: "detached" });
}

/** Satoshis behind a line of a sum on the screen. */
export async function line(page, what) {
  const title = await page.locator("table.sum tr", { hasText: what }).first().locator("td").getAttribute("title");
  return BigInt(title.replace(/[^\d-]/g, ""));
}

/** What axe-core finds wrong (WCAG 2.2, A and AA, and its best practices). */
export async function violations(page) {
  // As the tool's own binding does; the page's policy lets no other script in.
  const client = await page.context().newCDPSession(page);
  try {
    await client.send("Runtime.evaluate", { expression: `window.axe ?? (() => { ${AXE} })()` });
    const expression = "axe.run(document).then((r) => JSON.stringify(r.violations.map((v) => [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))])))";
    const { result, exceptionDetails } = await client.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    assert.ok(!exceptionDetails, JSON.stringify(exceptionDetails));
    return JSON.parse(result.value);
  } finally {
    await client.detach();
  }
}
