// Server-sent events (HTML, section 9.2), event by event.

/** Characters of one event. */
const MOST_CHARACTERS = 1 << 20;

export interface ServerEvent {
  /** "message" where none is named. */
  event: string;
  data: string;
  /** As it came, its empty line included. */
  raw: string;
}

/** Takes text as it comes and gives events as they are whole. */
export class Events {
  #rest = "";

  /** The events that end in this text. Throws when one is too long. */
  push(text: string): ServerEvent[] {
    this.#rest += text;
    const events: ServerEvent[] = [];
    for (;;) {
      const end = /(?:\r\n|\n|\r(?!$))(?:\r\n|\n|\r(?!$))/.exec(this.#rest);
      if (!end) break;
      const raw = this.#rest.slice(0, end.index + end[0].length);
      this.#rest = this.#rest.slice(raw.length);
      events.push(read(raw));
    }
    if (this.#rest.length > MOST_CHARACTERS) throw new Error(`an event is longer than ${MOST_CHARACTERS} characters`);
    return events;
  }

  /** What came after the last whole event. */
  get rest(): string {
    return this.#rest;
  }
}

function read(raw: string): ServerEvent {
  let event = "message";
  const data: string[] = [];
  for (const line of raw.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    if (name === "data") data.push(value);
  }
  return { event, data: data.join("\n"), raw };
}
