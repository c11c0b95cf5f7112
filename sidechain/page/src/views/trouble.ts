// What went wrong while a view was made, and what to do.
import { html, type TemplateResult } from "lit-html";
import { faultLink } from "../draw/fault.ts";
import { route } from "../draw/links.ts";
import { codeOf } from "../faults.ts";
import { NodeDown, NodeError } from "../node.ts";

export function trouble(error: unknown): TemplateResult {
  if (error instanceof NodeDown) {
    return html`<h1>The node does not answer</h1>
      <p>Your money does not depend on it: coins and deposits are where they were. This page asks again every two seconds. If it stays so, the node that serves this page is stopped, or the way to it is cut: another node of the network shows the same.${faultLink("node-down")}</p>`;
  }
  const said = error instanceof Error ? error.message : String(error);
  // What is neither the node's word nor a missing proof is an answer of a shape that was not expected.
  const code = codeOf(error) === "unexpected" ? "cannot-be-read" : codeOf(error);
  return html`<h1>This cannot be shown</h1>
    <p>${error instanceof NodeError ? "The node answers" : "The page says"}: <q>${said}</q>.${faultLink(code)}</p>
    <p>Nothing was changed by asking. <a href=${route()}>To the overview</a>.</p>`;
}
