// The way from an error to its page.
import { html, nothing, type TemplateResult } from "lit-html";
import { route } from "./links.ts";

export function faultLink(code: string | undefined): TemplateResult | typeof nothing {
  return code ? html` <a href=${route("error", code)}>What that means</a>` : nothing;
}
