// The page: it opens the view that the link names, draws it, and asks the node again while somebody looks.
import { html, render, type TemplateResult } from "lit-html";
import { type Genesis, readGenesis, requireSameFederation, requireSameNetwork, requireSameRules } from "../evidence/genesis.ts";
import { Node, NodeDown } from "../node.ts";
import type { Info } from "../peg/answers.ts";
import { routes } from "../views/index.ts";
import { forgetSaid } from "../views/actions.ts";
import { isUnderstood } from "../views/search.ts";
import { lost } from "../views/lost.ts";
import { trouble } from "../views/trouble.ts";
import { Wallet } from "../wallet/wallet.ts";
import { open, parts } from "./router.ts";
import { shell } from "./shell.ts";
import type { Context, View } from "./view.ts";

/** How often what is shown is asked for again. */
const EVERY_MS = 2_000;

class Page {
  readonly #root: HTMLElement;
  readonly #node = new Node("/");
  readonly #wallet = new Wallet(() => this.#draw());
  #view: View | undefined;
  #info: Info | undefined;
  #genesis: Genesis | undefined;
  #heardAt = 0;
  /** To be looked for once the node has answered. */
  #typed: string | undefined;
  #isDown = false;
  #failed: unknown;
  #asking = false;
  /** What is being asked for now may be of before a change. */
  #isOutdated = false;
  #nextAt = 0;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#node.onChange((isUp) => {
      this.#isDown = !isUp;
      this.#draw();
    });
    window.addEventListener("hashchange", () => this.#open(true));
    document.addEventListener("visibilitychange", () => void this.#tick());
  }

  async start(): Promise<void> {
    this.#wallet.start();
    this.#draw();
    for (;;) {
      try {
        const response = await fetch("/genesis.json").catch((cause: unknown) => {
          throw new NodeDown("the node does not answer", { cause });
        });
        if (!response.ok) throw new Error(`the node answers HTTP ${response.status} when it is asked for the genesis file`);
        this.#genesis = readGenesis(await response.text());
        await this.#ask(this.#genesis);
        break;
      } catch (error) {
        this.#failed = error;
        this.#draw();
        await new Promise((wake) => setTimeout(wake, EVERY_MS));
      }
    }
    this.#failed = undefined;
    this.#open(false);
    if (this.#typed !== undefined) this.#search(this.#typed);
    setInterval(() => void this.#tick(), EVERY_MS / 4);
  }

  async #ask(genesis: Genesis): Promise<void> {
    const info = await this.#node.ask<Info>("peg_getInfo");
    requireSameNetwork(info, genesis);
    requireSameRules(info.parameters, genesis);
    requireSameFederation(info, genesis);
    this.#info = info;
    this.#heardAt = Date.now();
  }

  #context(genesis: Genesis): Context {
    return {
      node: this.#node,
      wallet: this.#wallet,
      genesis,
      info: () => this.#info as Info,
      now: () => Date.now() / 1000,
      redraw: () => this.#draw(),
      refresh: () => {
        this.#nextAt = 0;
        this.#isOutdated = true;
        void this.#tick();
      },
      go: (...to) => {
        window.location.hash = `/${to.map((part) => encodeURIComponent(part)).join("/")}`;
      },
    };
  }

  #open(byHand: boolean): void {
    if (!this.#info || !this.#genesis) return;
    this.#view?.leave?.();
    forgetSaid();
    this.#failed = undefined;
    this.#view = open(routes, lost, this.#context(this.#genesis), window.location.hash);
    this.#nextAt = 0;
    this.#draw();
    if (byHand) {
      window.scrollTo(0, 0);
      document.getElementById("content")?.focus({ preventScroll: true });
    }
    void this.#tick();
  }

  async #tick(): Promise<void> {
    const [view, genesis] = [this.#view, this.#genesis];
    if (!view || !genesis || this.#asking || document.hidden || Date.now() < this.#nextAt) return;
    this.#asking = true;
    this.#isOutdated = false;
    try {
      await Promise.all([this.#ask(genesis), view.refresh?.()]);
      if (view === this.#view) this.#failed = undefined;
    } catch (error) {
      // What was shown stays: the frame says that it is old.
      if (view === this.#view && !(error instanceof NodeDown)) this.#failed = error;
    } finally {
      this.#asking = false;
      this.#nextAt = view === this.#view && !this.#isOutdated ? Date.now() + (view.every ?? EVERY_MS) : 0;
    }
    this.#draw();
    if (!this.#nextAt) void this.#tick();
  }

  #draw(): void {
    const view = this.#view;
    document.title = view ? `${view.title} · Causeway` : "Causeway";
    let body: TemplateResult = html`<p class="waiting">Asking the node…</p>`;
    if (this.#failed) body = trouble(this.#failed);
    else if (view) {
      try {
        body = view.draw();
      } catch (error) {
        // What a node says is no reason to show nothing.
        console.error(error);
        body = trouble(error);
      }
    }
    const frame = {
      at: view?.place === "" ? undefined : (view?.place ?? parts(window.location.hash)[0] ?? ""),
      info: this.#info,
      silentFor: this.#isDown ? (Date.now() - (this.#heardAt || Date.now())) / 1000 : undefined,
      search: (text: string) => this.#search(text),
    };
    render(shell(frame, body), this.#root);
  }

  #search(text: string): void {
    // Which Bitcoin network it is on says what an address means: a slow node is waited for.
    this.#typed = this.#info ? undefined : text;
    if (!this.#info) return;
    // What is no request may be a secret: it goes into no address, and no history.
    if (isUnderstood(text, this.#info.bitcoinNetwork)) window.location.hash = `/search/${encodeURIComponent(text)}`;
    else if (parts(window.location.hash)[0] === "search" && parts(window.location.hash).length === 1) this.#open(true);
    else window.location.hash = "/search";
  }
}

const root = document.getElementById("page");
if (root) void new Page(root).start();
