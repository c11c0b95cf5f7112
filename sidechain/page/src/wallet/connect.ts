// The line that says which wallet and account are used, and lets somebody choose.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context } from "../app/view.ts";
import { link, shortened } from "../draw/links.ts";
import { drawName, plainName } from "../draw/names.ts";
import { codeOf, sentenceOf } from "../faults.ts";
import type { Announced } from "./provider.ts";
import { WalletError, type Chain } from "./wallet.ts";

/** The chain of this node, as a wallet adds it. */
export function chainOf({ info }: Context): Chain {
  const { chainId, bitcoinNetwork } = info();
  return { chainId, name: bitcoinNetwork === "mainnet" ? "Causeway" : `Causeway ${bitcoinNetwork}`, url: window.location.origin };
}

/** What to say of a failure of the wallet; nothing of other failures. */
export function walletWords(error: unknown): string | undefined {
  if (!(error instanceof WalletError)) return undefined;
  return error.isRefusal ? "You said no in the wallet. Nothing was sent." : `The wallet says: ${sentenceOf(error)}`;
}

/** `say` hears what went wrong, and under which code it has a page; nothing when it is over. */
export function connection(context: Context, say: (words: string | undefined, code?: string) => void): TemplateResult {
  const { wallet, info } = context;
  const attempt = (act: () => Promise<void>) => async () => {
    say(undefined);
    try {
      await act();
    } catch (error) {
      say(walletWords(error) ?? sentenceOf(error), codeOf(error));
    }
  };
  if (!wallet.chosen || !wallet.account) {
    if (!wallet.installed.length) {
      return html`<p class="notice">No wallet is found in this browser. Any that knows Ethereum's chains does, MetaMask or Rabby for example; or use the command line: <code>causeway wallet create</code>.</p>`;
    }
    const connect = (one: Announced) => attempt(() => wallet.connect(one));
    return html`<p class="wallets">${wallet.installed.map((one) => html`<button type="button" class="quiet" @click=${connect(one)}>Connect ${plainName(one.name)}</button>`)}</p>`;
  }
  const isHere = wallet.chainId === info().chainId;
  return html`<p class="wallets">
      <span>${drawName(wallet.chosen.name)}: ${link(["account", wallet.account], shortened(wallet.account))}</span>
      <button type="button" class="quiet" @click=${() => wallet.disconnect()}>Use another</button>
    </p>
    ${isHere
      ? nothing
      : html`<p class="notice warn">The wallet is on another network (chain ${wallet.chainId}). <button type="button" @click=${attempt(() => wallet.enter(chainOf(context)))}>Add and use this network</button></p>`}`;
}
