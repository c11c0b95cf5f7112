// Where something stands: a line of steps, those that are done, the one that is going on, and those to come.
import { html, nothing, type TemplateResult } from "lit-html";
import { duration, moment } from "./time.ts";
import type { Wait } from "../peg/waits.ts";

export interface Step {
  name: string;
  state: "done" | "now" | "coming" | "failed";
  /** When it was done, in seconds since 1970. */
  at?: number | undefined;
  note?: unknown;
}

const SAID = { done: "Done", now: "Now", coming: "To come", failed: "Failed" };

export function steps(list: readonly Step[]): TemplateResult {
  return html`<ol class="steps">
    ${list.map(
      ({ name, state, at, note }) => html`<li class=${state} aria-current=${state === "now" ? "step" : nothing}>
        <span class="only-read">${SAID[state]}: </span><strong>${name}</strong>
        ${at === undefined ? nothing : html`<span class="when">${moment(at)}</span>`} ${note === undefined ? nothing : html`<div>${note}</div>`}
      </li>`,
    )}
  </ol>`;
}

/** Why it waits, each reason a sentence, with an estimate where there is one. */
export function waits(list: readonly Wait[]): TemplateResult | typeof nothing {
  if (!list.length) return nothing;
  const most = Math.max(...list.map(({ seconds }) => seconds ?? 0));
  return html`<div class="notice ${list.some(({ stuck }) => stuck) ? "warn" : ""}">
    <p><strong>It waits</strong></p>
    <ul>
      ${list.map(({ text }) => html`<li>${text}</li>`)}
    </ul>
    ${most ? html`<p>About ${duration(most)}, as far as can be said. Bitcoin's blocks come every ten minutes on average: one may take an hour.</p>` : nothing}
  </div>`;
}
