// Everybody can use it: by eye and by ear, by keyboard, on a phone, by day and night.
import assert from "node:assert/strict";
import { test } from "node:test";
import { line, open, ready, says, text, violations } from "./browser.mjs";
import { KEYS, rpc } from "./network.mjs";
import { OTHER_PAYEE, PASSPHRASE, PAYEE, connect, makeAddress, opened, order, owner, rateOnScreen, requireAsSaid } from "./owner.mjs";
import { paidTwice, requests } from "./requests.mjs";

const SCREENS = [
  ["light", 1200],
  ["dark", 1200],
  ["light", 390],
  ["dark", 390],
];

/** Looks at what is shown on every screen. */
async function look(page, what) {
  for (const [colorScheme, width] of SCREENS) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    assert.deepEqual(await violations(page), [], `${what}, ${colorScheme}, ${width} pixels`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, `${what} is ${wide} pixels wider than a screen of ${width}`);
  }
}

test("no view has what axe-core finds wrong, nor is wider than a phone, by day and night", async () => {
  const { deposit: { address, txid, vout }, withdrawal: { id } } = await requests();
  const { address: twice } = await paidTwice();
  const { contracts } = await rpc("peg_getInfo");
  const [log] = await rpc("eth_getLogs", { address: contracts.bridge, fromBlock: "0x0", toBlock: "latest" });
  const views = [
    ...["", "in", "out", "own", `own/${owner}`, "requests", "requests/deposits", "requests/withdrawals", "blocks", `block/${Number(log.blockNumber)}`, `tx/${log.transactionHash}`],
    ...["federation", "evidence", `deposit/${address}`, `deposit/${twice}`, `deposit/${txid}:${vout}`, `deposit/${OTHER_PAYEE}`, `withdrawal/${id}`, "vault/1", `account/${owner}`],
    ...[`account/${contracts.bridge}`, `logs/${contracts.bridge}`, "search/1", "search/nothing", "nowhere", "error/ScriptNotStandard", "withdrawal/999999", `tx/0x${"00".repeat(32)}`],
  ];
  for (const view of views) {
    const { page, close } = await open(view);
    await ready(page);
    await look(page, view || "the overview");
    await close();
  }
  console.log(`${views.length} views on ${SCREENS.length} screens`);
});

test("no step of an owner's way has what axe-core finds wrong, nor is wider than a phone", async () => {
  const out = await open("out", { key: KEYS[0] });
  await connect(out.page);
  await out.page.getByLabel("Bitcoin address that is paid").fill("nonsense");
  await look(out.page, "a form with a fault");
  await order(out.page, { amount: "0.01" });
  await look(out.page, "what will be signed");
  await out.close();
  const { page, close } = await open("in", { key: KEYS[0] });
  await page.getByRole("button", { name: "Make the record" }).click();
  await look(page, "a form of which nothing is filled in");
  await connect(page);
  await page.getByText("More choices").click();
  await look(page, "all that can be chosen");
  await makeAddress(page, { amount: "0.01", name: "looked-at.json" });
  await look(page, "the address to pay");
  await close();
});

const focused = (page) =>
  page.evaluate(() => {
    const at = document.activeElement;
    if (!at || at === document.body) return undefined;
    const { outlineStyle, outlineWidth } = getComputedStyle(at);
    const name = at.labels?.[0]?.innerText || at.getAttribute("aria-label") || at.innerText || at.id;
    return { name: name.trim(), id: at.id, tag: at.tagName, isMarked: outlineStyle !== "none" && outlineWidth !== "0px" };
  });

test("the tab key reaches all that can be used, in the order of the page, and shows where it is", async () => {
  const { page, close } = await open("in");
  await ready(page);
  await says(page, "A deposit costs");
  const wanted = await page.evaluate(() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter((one) => !one.disabled && one.checkVisibility()).length);
  const names = [];
  for (;;) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    if (!at || names.length > wanted) break;
    assert.ok(at.isMarked, `${at.name} is not marked when it has the focus`);
    assert.ok(at.name, `a ${at.tag} has no name`);
    names.push(at.name);
  }
  console.log(names.join(" → "));
  assert.equal(names.length, wanted, names.join(", "));
  assert.equal(names[0], "To the content");
  assert.ok(names.indexOf("Overview") < names.indexOf("Who gets the coins"));
  await close();
});

test("the skip link leads to the content, and a search or a link moves the focus there", async () => {
  const { page, close } = await open();
  await says(page, "Is everything there?");
  await page.keyboard.press("Tab");
  assert.equal((await focused(page)).name, "To the content");
  await page.keyboard.press("Enter");
  assert.equal((await focused(page)).id, "content");
  await page.keyboard.press("Shift+Tab");
  await page.getByRole("searchbox").focus();
  await page.keyboard.type("1");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/(search|withdrawal|vault|block)/);
  await page.waitForFunction(() => document.activeElement.id === "content");
  await page.getByRole("link", { name: "Evidence" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.id === "content" && document.title.startsWith("Evidence"));
  await page.goBack();
  await page.waitForFunction(() => document.activeElement.id === "content" && !document.title.startsWith("Evidence"));
  await close();
});

/** Presses the tab key until what has the name has the focus. */
async function tabTo(page, name) {
  const seen = [];
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    if (at?.name.startsWith(name)) return;
    seen.push(at?.name);
  }
  assert.fail(`the tab key does not reach ${name}, but ${seen.join(", ")}`);
}

test("an owner takes bitcoin out by keyboard alone", async () => {
  const { page, close } = await open("out", { key: KEYS[0] });
  await ready(page);
  const press = async (name) => {
    await tabTo(page, name);
    await page.keyboard.press("Enter");
  };
  await press("Connect Test wallet");
  await says(page, "The wallet is on another network");
  await press("Add and use this network");
  await page.getByRole("button", { name: "Add and use this network" }).waitFor({ state: "detached" });
  await tabTo(page, "Bitcoin address that is paid");
  await page.keyboard.type(PAYEE);
  await tabTo(page, "Amount, in BTC");
  await page.keyboard.type("0.02");
  // It is there once the node has said what it costs.
  await page.getByLabel("The most that it may cost").waitFor();
  await tabTo(page, "The most that it may cost");
  const before = await page.getByLabel("The most that it may cost").inputValue();
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await page.getByLabel("The most that it may cost").inputValue(), before, "the slider moves by the arrow keys");
  const said = { sum: await line(page, "Arrives on Bitcoin"), rate: await rateOnScreen(page) };
  await press("Look at what will be signed");
  await says(page, "What you are about to sign");
  await press("Sign in the wallet");
  const id = await opened(page);
  await says(page, /^paid$/);
  await requireAsSaid(await line(page, "Received on Bitcoin"), said, (await rpc("peg_getWithdrawal", id)).paidBy);
  await close();
});

test("who reads by ear hears what happens: places have names, and what changes is told", async () => {
  const { page, close } = await open("in", { key: KEYS[0] });
  await ready(page);
  await page.getByRole("main").waitFor();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
  await page.getByRole("search").waitFor();
  assert.equal(await page.getByRole("link", { name: "Bring bitcoin in" }).getAttribute("aria-current"), "page");
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  await connect(page);
  await page.getByLabel("How much you will pay").fill("0.2");
  await page.getByLabel("A passphrase for the key").fill("short");
  const fault = page.getByLabel("A passphrase for the key");
  assert.equal(await fault.getAttribute("aria-invalid"), "true");
  const described = (await fault.getAttribute("aria-describedby")).split(" ");
  const words = await Promise.all(described.map((id) => page.locator(`#${id}`).innerText()));
  assert.match(words.join(" "), /at least 8/);
  await fault.fill(PASSPHRASE);
  await page.evaluate(() => {
    window.told = [];
    const hear = () => document.querySelectorAll("[role=status], [role=alert]").forEach((one) => one.innerText.trim() && window.told.push(one.innerText.trim()));
    new MutationObserver(hear).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await page.getByRole("button", { name: "Make the record" }).click();
  await says(page, "Save the record before you pay");
  const told = await page.evaluate(() => window.told);
  assert.ok(told.some((said) => said.includes("Making a key")), told.join("; "));
  assert.ok(!(await text(page)).includes(PASSPHRASE));
  await close();
});
