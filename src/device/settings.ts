/**
 * What the account wants of this device, as the gateway tells it: which endpoints hear its events, whose texts are kept
 * and how long. The newest revision counts; an older or repeated one changes nothing. Must run in a transaction.
 */
import type { DeviceNews } from "./device-news.ts";
import type { Feeds } from "./feeds.ts";
import type { Identity } from "./identity.ts";
import type { DeviceSettings } from "./interface.ts";

export interface SettingsParts {
  sql: SqlStorage;
  identity: Identity;
  feeds: Feeds;
  news: DeviceNews;
}

/** Answers the revision that holds now. */
export function applySettings(
  parts: SettingsParts,
  settings: DeviceSettings,
  nowMs: number,
): { revision: number } {
  const { identity, feeds, news, sql } = parts;
  const { state } = identity;
  if (settings.revision <= state.settingsRev) return { revision: state.settingsRev };
  const keeps = settings.keepsEvents || settings.endpoints.length > 0;
  const kept = state.keepsEvents === 1;
  if (settings.textsKept !== state.textsKept) {
    sql.exec("DELETE FROM written_to");
    if (settings.textsKept === "written_to") {
      sql.exec(
        "INSERT INTO written_to (number) SELECT DISTINCT recipient FROM outbox WHERE recipient <> ''",
      );
    }
  }
  identity.patch({
    settingsRev: settings.revision,
    keepsEvents: Number(keeps),
    textsKept: settings.textsKept,
    textsKeptMs: settings.textsKeptMs,
    // Texts may have to go sooner, and events that nobody wants any more.
    retentionMs: state.retentionMs === null ? null : nowMs,
  });
  feeds.replace(settings.endpoints);
  if (keeps && !kept) news.begin(nowMs);
  if (!keeps && kept) news.end();
  return { revision: settings.revision };
}
