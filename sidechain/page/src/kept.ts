// What a browser keeps for the page between visits: public things alone. One that keeps nothing is no fault, and what it gives back is checked by whoever asked.

/** What was kept under a name; none where nothing was, or what is there is damaged. */
export function kept(name: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

export function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // It is found by other ways: by a link, by the account, by choosing again.
  }
}

export function forget(name: string): void {
  try {
    localStorage.removeItem(name);
  } catch {
    // Nothing was kept then.
  }
}
