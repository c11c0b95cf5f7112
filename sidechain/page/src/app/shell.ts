// The frame around every view: the way to the others, the search field, and a line that says when the node does not answer.
import { html, nothing, type TemplateResult } from "lit-html";
import { duration } from "../draw/time.ts";
import { route, shortened } from "../draw/links.ts";
import type { Info } from "../peg/answers.ts";

const PLACES: readonly [name: string, text: string][] = [
  ["", "Overview"],
  ["in", "Bring bitcoin in"],
  ["out", "Take bitcoin out"],
  ["own", "Yours"],
  ["requests", "Requests"],
  ["blocks", "Blocks"],
  ["federation", "Federation"],
  ["evidence", "Evidence"],
];

export interface Frame {
  /** The place that is open: the first part of its link. */
  at: string | undefined;
  info: Info | undefined;
  /** Seconds since the node was last heard; none while it answers. */
  silentFor: number | undefined;
  search: (text: string) => void;
}

export function shell({ at, info, silentFor, search }: Frame, view: TemplateResult): TemplateResult {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const text = new FormData(event.currentTarget as HTMLFormElement).get("what");
    if (typeof text === "string" && text.trim()) search(text.trim());
  };
  return html`
    <a class="skip" href="#content" @click=${skip}>To the content</a>
    <header>
      <a class="brand" href=${route()}><img src="/icon.svg" alt="" width="28" height="28" /> Causeway</a>
      <form role="search" @submit=${submit}>
        <label class="only-read" for="what">Find a deposit, a withdrawal, a transaction, an address or a block</label>
        <input id="what" name="what" type="search" autocomplete="off" spellcheck="false" autocapitalize="off" placeholder="Address, transaction, outpoint or number" maxlength="400" />
        <button>Find</button>
      </form>
    </header>
    <nav aria-label="Pages">
      ${PLACES.map(([name, text]) => html`<a href=${name ? route(name) : "#/"} aria-current=${name === at ? "page" : nothing}>${text}</a>`)}
    </nav>
    <div role="status" class="bar">
      ${silentFor === undefined
        ? nothing
        : html`<p class="notice warn"><strong>The node does not answer</strong>, for ${duration(silentFor)} now. What is shown here is from before. Nothing is lost by it: this page asks again by itself.</p>`}
    </div>
    <main id="content" tabindex="-1">${view}</main>
    <footer>
      ${info
        ? html`<p>
            ${info.bitcoinNetwork === "mainnet" ? "Bitcoin" : `Bitcoin ${info.bitcoinNetwork}: coins of it are worth nothing`} · network ${shortened(info.networkId)} · chain id ${info.chainId} · node ${info.version}
          </p>`
        : nothing}
      <p>Not audited: use it with bitcoin that you can lose. This page is as honest as the node that serves it; <a href=${route("evidence")}>what it checks, and what it cannot</a>.</p>
    </footer>
  `;
}

/** The link's place is a view here, so the focus is moved by hand. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}
