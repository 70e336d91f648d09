/** How an error reaches the person at the prompt: one sentence, one next command, one exit code. */
import { OperationalError } from '../base/errors.ts';

/** One line for people about an error, with the next command; JSON when asked. Returns the exit code. */
export const reportError = (error: unknown, json: boolean): number => {
  const operational = error instanceof OperationalError;
  const message = error instanceof Error ? error.message : String(error);
  if (json && operational) {
    process.stdout.write(`${JSON.stringify({ error: { code: error.code, message, hint: error.hint } })}\n`);
  } else if (operational) {
    process.stderr.write(`gossipd: ${message}\n  Next: ${error.hint}\n`);
  } else {
    process.stderr.write(
      `gossipd: this is a bug: ${error instanceof Error ? (error.stack ?? message) : message}\n`,
    );
  }
  // 8: operational error, as e2fsck; 16: usage.
  return operational ? (error.code === 'bad_config' || error.code === 'bad_argument' ? 16 : 8) : 70;
};
