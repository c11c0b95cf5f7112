// An error: what happened, what it means for the money, what to do. Reached by a link that stays, so it can be sent to somebody who helps.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context, View } from "../app/view.ts";
import { link, route } from "../draw/links.ts";
import { share } from "../draw/share.ts";
import { type Fault, faultsOf } from "../faults.ts";

/** Letters of a code that are shown; none is so long. */
const MOST_LETTERS = 60;

export function fault(_: Context, code = ""): View {
  const found = faultsOf(code);
  const [first] = found;
  const name = code.slice(0, MOST_LETTERS);
  return {
    title: first?.title ?? "An error",
    draw: () =>
      first
        ? html`${found.length === 1 ? html`<h1>${first.title}</h1>` : html`<h1>The error ${name}</h1><p>${found.map(({ by }) => by).join(", ")}: each can say so, for its own reason.</p>`}
            ${found.map((one) => whole(one, found.length > 1))}
            <p>Where your money is, always: ${link(["own"], "what is yours")}, and the search field above by an address, a transaction or a number.</p>
            <p class="quiet">Code <code>${name}</code>, said by: ${found.map(({ by }) => by).join(", ")}.</p>
            ${share("error", code)}`
        : html`<h1>There is no such error</h1>
            <p>Nothing is known under ${name ? html`<code>${name}</code>` : "no name"}. The link may have been cut off when it was copied. <a href=${route()}>To the overview</a>.</p>`,
  };
}

function whole({ by, title, happened, money, act, messages }: Fault, isOneOfSome: boolean): TemplateResult {
  return html`<section class="flow">
    ${isOneOfSome ? html`<h2>${by}: ${title}</h2>` : nothing}
    <dl class="facts">
      <dt>What happened</dt><dd>${happened}</dd>
      <dt>Your money</dt><dd>${money}</dd>
      <dt>What to do</dt><dd>${act}</dd>
    </dl>
    ${messages ? html`<h2>What it may say</h2><dl class="facts">${messages.map(([words, meaning]) => html`<dt>${words}</dt><dd>${meaning}</dd>`)}</dl>` : nothing}
  </section>`;
}
