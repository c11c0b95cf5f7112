// What no view shows.
import { html } from "lit-html";
import { route } from "../draw/links.ts";
import type { View } from "../app/view.ts";

export function lost(): View {
  return {
    title: "No such page",
    draw: () => html`<h1>There is no such page</h1>
      <p>The link may have been cut off when it was copied. The search field above finds deposits, withdrawals, transactions, addresses and blocks; <a href=${route()}>the overview</a> shows how the bridge stands.</p>`,
  };
}
