/** Waits so long by a timer of the caller's own, which also tells the runtime that the caller is not hung. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
