// What was found by what somebody pasted: one thing is gone to at once.
import { html, nothing } from "lit-html";
import type { Context, View } from "../app/view.ts";
import { link, route } from "../draw/links.ts";
import type { Found } from "../peg/found.ts";
import { find } from "../peg/found.ts";
import type { BitcoinNetwork } from "../peg/answers.ts";
import { type Meaning, NOTHING_TYPED, understand } from "../search.ts";

export function search(context: Context, ...parts: string[]): View {
  const pasted = parts.join("/");
  const { text, meanings, wrong } = understand(pasted, context.info().bitcoinNetwork);
  const [meaning] = meanings;
  const isTyped = lastTyped !== undefined && !pasted;
  const why = isTyped ? lastTyped : wrong;
  lastTyped = undefined;
  // Out of the address bar and the history, as far as this page can: it may be a secret.
  if (!meaning && pasted) window.history.replaceState(null, "", route("search"));
  let found: Found[] | undefined;
  let left = false;
  return {
    title: "Search",
    every: 10_000,
    async refresh() {
      if (!meaning) return;
      found = await find(context.node, context.info(), meaning);
      const only = found.length === 1 ? found[0] : undefined;
      if (only && !left) {
        left = true;
        window.location.replace(route(...only.parts));
      }
    },
    leave() {
      left = true;
    },
    draw() {
      if (!meaning) {
        return html`<h1>This cannot be looked for</h1>
          <p>${why}</p>
          ${why === NOTHING_TYPED ? nothing : html`<p class="none">${isTyped ? "It was put into no address, no history and no request to the node, and is not shown here: it may be a secret." : "It was taken out of this page's address: it may be a secret. It may still be in the browser's history."} Seed words and private keys belong in no field of any page.</p>`}
          ${where()}`;
      }
      if (!found) return html`<h1>Search</h1><p class="waiting" role="status">Looking for ${said(meaning)}…</p>`;
      if (found.length) {
        return html`<h1>Found</h1>
          <p>${said(meaning)}: <code>${text}</code></p>
          <ul>
            ${found.map((one) => html`<li>${link(one.parts, one.what)}</li>`)}
          </ul>`;
      }
      return html`<h1>Nothing is found</h1>
        <p><code>${text}</code> was understood as ${said(meaning)}. The ledger has nothing of it.</p>
        ${isTaproot(meaning)
          ? html`<p>
              If it is a deposit address that was made elsewhere: this node has no registration of it, and no payment to it was proven. ${link(["deposit", meaning.address], "Its page says what it waits for")}.
            </p>`
          : nothing}
        <p>A payment to the bridge shows here once it is in a Bitcoin block and the federation has proven it to the ledger. Younger ones show in a Bitcoin explorer, or by <code>causeway status</code> with a bitcoind of yours.</p>
        ${where()}`;
    },
  };
}

/** Why what was typed last means nothing: not what it was. */
let lastTyped: string | undefined;

/** Whether it is something that can be looked for; else why not is remembered for the page that says so. */
export function isUnderstood(pasted: string, network: BitcoinNetwork): boolean {
  const { meanings, wrong } = understand(pasted, network);
  lastTyped = meanings.length ? undefined : wrong;
  return meanings.length > 0;
}

function isTaproot(meaning: Meaning): meaning is Meaning & { is: "bitcoin" } {
  return meaning.is === "bitcoin" && meaning.outputKey !== undefined;
}

function where() {
  return html`<h2>What can be found here</h2>
    <ul>
      <li>a deposit: by its Bitcoin address, its output key, the transaction that paid it, or <code>txid:output</code></li>
      <li>a withdrawal: by its number, its owner, or the Bitcoin address or script that is paid</li>
      <li>a vault transaction: by its number, or its Bitcoin transaction</li>
      <li>on the sidechain: accounts, transactions, blocks and payment channels</li>
    </ul>
    <p>${link(["requests"], "All requests")} · ${link(["blocks"], "Blocks")} · ${link(["logs"], "Logs")}</p>`;
}

function said(meaning: Meaning): string {
  switch (meaning.is) {
    case "account":
      return "an account of the sidechain";
    case "outpoint":
      return "an output of a Bitcoin transaction";
    case "hash":
      return "the id of a transaction or block, or a key";
    case "number":
      return meaning.of ? { withdrawal: "the number of a withdrawal", vault: "the number of a vault transaction", block: "the number of a block" }[meaning.of] : "the number of a withdrawal, a vault transaction or a block";
    case "bitcoin":
      return meaning.outputKey ? "a taproot address of Bitcoin, as deposit addresses are" : "an address of Bitcoin";
    case "script":
      return "an output script of Bitcoin";
  }
}
