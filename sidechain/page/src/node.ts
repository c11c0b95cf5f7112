// The node by JSON-RPC: what is asked together goes in one request, and who listens hears when it goes away and comes back.

/** Requests of one batch; a node takes a thousand. */
const MOST_TOGETHER = 100;
/** Until an answer has to be there. */
const PATIENCE_MS = 15_000;

/** What a node answers instead of a result, with its code (docs/rpc.md). */
export class NodeError extends Error {
  override name = "NodeError";
  constructor(
    readonly code: number,
    message: string,
    readonly data?: unknown,
  ) {
    super(message);
  }
}

/** There was no answer at all. */
export class NodeDown extends Error {
  override name = "NodeDown";
}

export interface Question {
  method: string;
  params?: readonly unknown[];
}

interface Answer {
  id: number;
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
}

interface Waiting {
  question: Question;
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

export class Node {
  #waiting: Waiting[] = [];
  #isUp: boolean | undefined;
  readonly #heard = new Set<(isUp: boolean) => void>();

  constructor(readonly url: string) {}

  /** Hears each time that the node goes away or comes back; stops when the answer is called. */
  onChange(hear: (isUp: boolean) => void): () => void {
    this.#heard.add(hear);
    return () => this.#heard.delete(hear);
  }

  /** One answer. Throws `NodeError`, `NodeDown`. Its shape is the caller's to check where something depends on it. */
  ask<T>(method: string, ...params: unknown[]): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.push({ question: { method, params }, resolve, reject });
      if (this.#waiting.length === 1) queueMicrotask(() => void this.#send());
    }) as Promise<T>;
  }

  async #send(): Promise<void> {
    const all = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < all.length; at += MOST_TOGETHER) await this.#batch(all.slice(at, at + MOST_TOGETHER));
  }

  async #batch(some: Waiting[]): Promise<void> {
    let answers: Map<number, Answer>;
    try {
      const body = JSON.stringify(some.map(({ question }, id) => ({ jsonrpc: "2.0", id, ...question })));
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const response = await fetch(this.url, { method: "POST", headers: { "content-type": "application/json" }, body, signal });
      const said: unknown = await response.json();
      // What is refused before it is looked at has one error for all.
      if (!Array.isArray(said)) throw asError((said as Answer).error ?? { code: 0, message: `the node answers HTTP ${response.status}` });
      answers = new Map(said.map((answer: Answer) => [answer.id, answer]));
      this.#tell(true);
    } catch (error) {
      const isSaid = error instanceof NodeError;
      this.#tell(isSaid);
      for (const { reject } of some) reject(isSaid ? error : new NodeDown("the node does not answer", { cause: error }));
      return;
    }
    some.forEach(({ resolve, reject }, id) => {
      const answer = answers.get(id);
      if (!answer) reject(new NodeError(0, "the node left an answer out"));
      else if (answer.error) reject(asError(answer.error));
      else resolve(answer.result);
    });
  }

  #tell(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    for (const hear of this.#heard) hear(isUp);
  }
}

function asError({ code, message, data }: { code: number; message: string; data?: unknown }): NodeError {
  return new NodeError(code, message, data);
}
