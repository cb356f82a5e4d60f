/**
 * libsignal prints whole session objects, private keys included, through console. While a simulator runs, those
 * lines are dropped; everything else passes through unchanged.
 */

const LIBSIGNAL_LINES = [
  "Closing session:",
  "Opening session:",
  "Removing old closed session:",
  "Session already closed",
  "Session already open",
  "Closing open session in favor of incoming prekey bundle",
  "Decrypted message with closed session.",
  "Failed to decrypt message with any known session...",
  "Session error:",
  "Migrating session to:",
  "V1 session storage migration error",
  "WARNING: Expected pubkey of length 33",
  "Unhandled bucket type (for naming):",
];

const METHODS = ["log", "info", "warn", "error"] as const;

type Print = (...values: unknown[]) => void;

let users = 0;
let originals: Print[] = [];

/** Starts filtering; the returned function stops it when the last user is gone. */
export function silenceLibsignal(): () => void {
  users += 1;
  if (users === 1) install();
  let stopped = false;
  return () => {
    if (stopped) return;
    stopped = true;
    users -= 1;
    if (users === 0) restore();
  };
}

function install(): void {
  originals = METHODS.map((method) => console[method]);
  for (const [index, method] of METHODS.entries()) {
    console[method] = (...values: unknown[]) => {
      const [first] = values;
      const isLibsignal =
        typeof first === "string" && LIBSIGNAL_LINES.some((line) => first.startsWith(line));
      if (!isLibsignal) originals[index]?.(...values);
    };
  }
}

function restore(): void {
  for (const [index, method] of METHODS.entries()) {
    const original = originals[index];
    if (original !== undefined) console[method] = original;
  }
}
