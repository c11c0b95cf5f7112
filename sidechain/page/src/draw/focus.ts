// Where somebody goes on who reads with the keyboard or by ear.

/** To the beginning of what is shown: what had the focus is gone with the step before. */
export function toBeginning(): void {
  window.scrollTo(0, 0);
  document.getElementById("content")?.focus({ preventScroll: true });
}
