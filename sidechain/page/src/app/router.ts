// Which view a link opens.
import type { Context, Open, View } from "./view.ts";

export interface Routes {
  [name: string]: Open;
}

/** The parts of `#/deposit/bc1p…`; a link that cannot be read has none. */
export function parts(hash: string): string[] {
  try {
    return hash
      .replace(/^#?\/?/, "")
      .split("/")
      .filter(Boolean)
      .map(decodeURIComponent);
  } catch {
    return ["unreadable"];
  }
}

/** The view of a link; what there is no view of, `lost` shows. */
export function open(routes: Routes, lost: Open, context: Context, hash: string): View {
  const [name = "", ...rest] = parts(hash);
  const view = Object.hasOwn(routes, name) ? routes[name] : undefined;
  return (view ?? lost)(context, ...rest);
}
