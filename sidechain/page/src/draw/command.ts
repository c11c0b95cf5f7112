// A command that does something without this page, to be copied.
import { html, type TemplateResult } from "lit-html";
import { copying } from "./copy.ts";

export function commandLine(command: string, label = "By command:"): TemplateResult {
  const copy = copying(command, (beside) => {
    const code = beside.querySelector("code");
    if (code) window.getSelection()?.selectAllChildren(code);
  });
  return html`<span class="command"><small>${label} <code>${command}</code></small> <button type="button" class="quiet" @click=${copy}>Copy<span class="only-read"> the command ${command}</span></button></span>`;
}
