/**
 * Baileys' logger that says nothing: its lines carry keys, numbers and whole stanzas.
 */
import type { UserFacingSocketConfig } from "@whiskeysockets/baileys";

type BaileysLogger = NonNullable<UserFacingSocketConfig["logger"]>;

const nothing = (): void => undefined;

export const quietLogger: BaileysLogger = {
  level: "silent",
  child: () => quietLogger,
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
};
