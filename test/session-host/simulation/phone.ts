/** The paired phone of a run, as the device's storage holds one: sealed creds with their head row. */
import { DeviceSealer, type SealKey } from "../../../session-host/sealing.ts";
import { HeadRow } from "../../../session-host/store-head.ts";
import type { Edge } from "./edge.ts";

const OWN_PHONE = "6281100000001";

export function pairPhone({ sql, identity }: Edge, sealKeys: SealKey[]): void {
  const sealer = new DeviceSealer(sealKeys, identity.deviceId, 1);
  const creds = sealer.seal(
    "creds",
    "creds",
    JSON.stringify({
      me: { id: `${OWN_PHONE}:1@s.whatsapp.net` },
      account: {},
      nextPreKeyId: 1,
      accountSyncCounter: 0,
      by: "nobody",
    }),
  );
  const head = new HeadRow(0);
  head.rowWritten("creds", "creds", creds);
  const insert = "INSERT INTO session_rows (generation, type, id, value) VALUES (1, ?, ?, ?)";
  sql.exec(insert, "creds", "creds", creds);
  sql.exec(insert, "head", "head", sealer.seal("head", "head", head.next(0)));
  sql.exec("UPDATE device SET paired = 1, status = 'reconnecting', phone = ?", OWN_PHONE);
}

export function phoneOf(contact: number): string {
  return `62812000000${10 + (contact % 4)}`;
}

export function jidOf(contact: number): string {
  return `${phoneOf(contact)}@s.whatsapp.net`;
}
