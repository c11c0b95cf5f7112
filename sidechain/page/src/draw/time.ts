// Times and durations in words.

const STEPS: readonly [seconds: number, name: string][] = [
  [86_400, "day"],
  [3_600, "hour"],
  [60, "minute"],
  [1, "second"],
];

/** `3 minutes`, `2 hours 10 minutes`: the two largest units, the second only where the first is small. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const at = STEPS.findIndex(([step]) => whole >= step);
  const first = STEPS[at];
  if (!first) return "0 seconds";
  const count = Math.floor(whole / first[0]);
  const next = STEPS[at + 1];
  const rest = next && count < 3 ? Math.floor((whole % first[0]) / next[0]) : 0;
  return [counted(count, first[1]), ...(rest && next ? [counted(rest, next[1])] : [])].join(" ");
}

/** `2 blocks`, `1 block`. */
export function counted(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

/** `3 minutes ago`; what a clock that is ahead makes of it is `now`. */
export function ago(seconds: number, now: number): string {
  return now - seconds < 1 ? "now" : `${duration(now - seconds)} ago`;
}

/** Date and time of day where the reader is. */
export function moment(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
