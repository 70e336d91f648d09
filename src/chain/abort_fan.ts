/**
 * Many listeners on one AbortSignal: a round of questions, or a caller with one signal for everything, has hundreds of requests that
 * end with it, and Node prints a warning from the eleventh listener on. So a signal gets one listener, which tells all.
 */

const fans = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `fire` once when the signal fires, or at once when it already has. Answers with how to take it back, which may be called at
 * any time.
 */
export const onAbort = (signal: AbortSignal, fire: () => void): (() => void) => {
  if (signal.aborted) {
    fire();
    return () => {};
  }
  const known = fans.get(signal);
  const fan = known ?? new Set<() => void>();
  if (known === undefined) {
    fans.set(signal, fan);
    signal.addEventListener(
      'abort',
      () => {
        fans.delete(signal);
        for (const each of fan) each();
      },
      { once: true },
    );
  }
  // The same function may be handed in twice.
  const entry = (): void => fire();
  fan.add(entry);
  return () => {
    fan.delete(entry);
  };
};
