/** What /v1 answers, in snake_case with times as ISO 8601 in UTC. Renders only. */
import type { DeviceAnswer } from "../../gateway/device-answer.ts";
import type { MessageAnswer } from "../../gateway/get-message.ts";

export function deviceShape(device: DeviceAnswer) {
  const { waid, name, status, phone, pairing } = device;
  return {
    id: waid,
    name,
    status,
    phone,
    pairing:
      pairing === null
        ? null
        : { qr: pairing.qr, code: pairing.code, expires_at: isoTime(pairing.expiresAtMs) },
  };
}

export function messageShape(message: MessageAnswer) {
  const { id, waid, to, status, reason, expectedAtMs, priceRupiah, history } = message;
  return {
    id,
    device: waid,
    to,
    status,
    reason,
    expected_at: expectedAtMs === null ? null : isoTime(expectedAtMs),
    price: priceRupiah,
    history: history.map((entry) => ({
      status: entry.status,
      reason: entry.reason,
      at: isoTime(entry.atMs),
    })),
  };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
