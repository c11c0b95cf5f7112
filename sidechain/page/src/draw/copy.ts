// A button's press that copies a text.

/** `select` marks it for who copies by hand: without https there is no clipboard. */
export function copying(text: string, select?: (beside: Element) => void): (event: Event) => void {
  return (event) => {
    const button = event.currentTarget as HTMLButtonElement;
    if (button.parentElement) select?.(button.parentElement);
    void navigator.clipboard?.writeText(text).then(() => (button.textContent = "Copied"), () => undefined);
  };
}
