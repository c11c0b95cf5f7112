// What went wrong while a view was made, and what to do.
import { html, type TemplateResult } from "lit-html";
import { NodeDown, NodeError } from "../node.ts";
import { route } from "../draw/links.ts";

export function trouble(error: unknown): TemplateResult {
  if (error instanceof NodeDown) {
    return html`<h1>The node does not answer</h1>
      <p>Your money does not depend on it: coins and deposits are where they were. This page asks again every two seconds. If it stays so, the node that serves this page is stopped, or the way to it is cut: another node of the network shows the same.</p>`;
  }
  const said = error instanceof Error ? error.message : String(error);
  return html`<h1>This cannot be shown</h1>
    <p>The node answers: <q>${said}</q>${error instanceof NodeError && error.code ? html` (<a href=${route("error", `rpc${error.code}`)}>error ${error.code}</a>)` : ""}.</p>
    <p>Nothing was changed by asking. <a href=${route()}>To the overview</a>.</p>`;
}
