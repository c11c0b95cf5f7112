// The link of a page, to be shared: without the node's address it would be of no use, so it is the whole one.
import { html, type TemplateResult } from "lit-html";
import { copying } from "./copy.ts";
import { route } from "./links.ts";

export function share(...parts: (string | number)[]): TemplateResult {
  const whole = `${window.location.origin}${window.location.pathname}${route(...parts)}`;
  const copy = copying(whole, (beside) => beside.querySelector("input")?.select());
  return html`<p class="share">
    <label>Link to this page <input class="wide" readonly .value=${whole} /></label>
    <button type="button" class="quiet" @click=${copy}>Copy</button>
  </p>`;
}
