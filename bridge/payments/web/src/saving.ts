// Saves one after the other: what was saved last is the newest, however long a store takes.
import type { Store } from "./payer.js";

/** Saves what `text` gives when its turn comes; whoever waits while another save is under way shares the next. */
export function saver(store: Store, text: () => string): () => Promise<void> {
  let [saving, next]: [Promise<void> | undefined, Promise<void> | undefined] = [undefined, undefined];
  const save = (): Promise<void> => {
    if (!saving) {
      saving = Promise.resolve().then(() => store.save(text())).finally(() => (saving = undefined));
      return saving;
    }
    next ??= saving.catch(() => {}).then(() => {
      next = undefined;
      return save();
    });
    return next;
  };
  return save;
}
