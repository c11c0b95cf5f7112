// A command that does something without this page, to be copied.
import { html, type TemplateResult } from "lit-html";

export function commandLine(command: string, label = "By command:"): TemplateResult {
  const copy = (event: Event) => {
    const button = event.currentTarget as HTMLButtonElement;
    const code = button.parentElement?.querySelector("code");
    // Without https there is no clipboard: what is selected is copied by hand.
    if (code) window.getSelection()?.selectAllChildren(code);
    void navigator.clipboard?.writeText(command).then(() => (button.textContent = "Copied"), () => undefined);
  };
  return html`<span class="command"><small>${label} <code>${command}</code></small> <button type="button" class="quiet" @click=${copy}>Copy<span class="only-read"> the command ${command}</span></button></span>`;
}
