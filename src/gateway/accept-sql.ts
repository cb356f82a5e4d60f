/**
 * The two statements of the accepting batch, and the tombstones beside them. Both read the same candidates, so
 * what decides is what explains. Parameters: ?1 packets as a JSON array, ?2 now, ?3 decide_by, in ms.
 *
 * The statement decides what depends on the packet alone; the trigger messages_decide decides what depends on
 * the rows before it: id taken, tombstone, duplicate, opt-out, balance, quota. Of equal messages of which one took
 * the place of another, only the last one stands.
 */
import {
  BALANCE_VALID,
  DEVICE_NAMED,
  KEY_USABLE,
  NEWEST_PERIOD,
  PERIOD_IN_FORCE,
  addressAllowed,
} from "../directory/access-rules.ts";
import type { KeyMode } from "../domain/api-key.ts";
import { TEXT_LENGTH_MIN } from "../domain/message-text.ts";
import { SCHEDULE_AHEAD_MAX_MS } from "../domain/send-time.ts";

/** A message not handed over within this of its due time expires; an OTP lives as long as its code. */
const QUEUE_LIFE_MS = 24 * 3_600_000;
const OTP_LIFE_MS = 300_000;
/** 48 h at most from the last moment of hand-over to the end, and an hour for it to get here. */
const END_AFTER_EXPIRY_MS = 49 * 3_600_000;
/** A logged-out device may be paired again by the time a message is due. */
const LOGGED_OUT_AHEAD_MS = 3_600_000;
/** A sealed text begins with its own nonce, so its first characters tell which reading was stored. */
export const BODY_MARK_LENGTH = 24;
export const DUPLICATE_WINDOW_MS = 60_000;
/** How long a repeat key stands for the request it first came with; the trigger has the same number. */
const REPEAT_KEPT_MS = 24 * 3_600_000;

/** What a key of this mode asks for. A test key needs no phone: its device is taken as connected. */
export function candidates(mode: KeyMode): string {
  const deviceCannotSend = `device_status NOT IN ('connected', 'reconnecting', 'paused')
        AND NOT (device_status = 'logged_out' AND due_ms > ?2 + ${LOGGED_OUT_AHEAD_MS})`;
  return `
WITH packet AS (
  SELECT r.key AS n,
    r.value ->> 'id' AS id,
    r.value ->> 'nonce' AS nonce,
    r.value ->> 'key' AS key_hash,
    r.value ->> 'address' AS address,
    r.value ->> 'waid' AS waid,
    r.value ->> 'to' AS recipient,
    r.value ->> 'wall_ms' AS wall_ms,
    r.value ->> 'at_ms' AS at_ms,
    r.value ->> 'category' AS category,
    r.value ->> 'life_ms' AS life_ms,
    r.value ->> 'supersedes' AS supersedes,
    r.value ->> 'repeat_key' AS repeat_key,
    r.value ->> 'repeat_print' AS repeat_print,
    r.value ->> 'auto_decodes' AS auto_decodes,
    r.value -> 'plain' AS plain,
    r.value -> 'decoded' AS decoded
  FROM json_each(?1) r
),
resolved AS (
  SELECT packet.*, k.id AS key_id, k.default_category, k.dedupe_window, a.id AS account_id,
    a.text_length_max, a.available + a.credit_limit AS spendable, a.owed,
    d.id AS device_id, d.status AS device_status,
    p.id AS period_id, p.price_rupiah, p.used, p.quota,
    coalesce(at_ms, wall_ms - a.utc_offset_s * 1000) AS asked_ms,
    max(?2, coalesce(at_ms, wall_ms - a.utc_offset_s * 1000, ?2)) AS due_ms,
    decoded IS NOT NULL
      AND (k.encoding = 'urlencoded' OR (k.encoding = 'auto' AND auto_decodes)) AS takes_decoded,
    CASE
      WHEN k.id IS NULL OR k.mode <> '${mode}' OR NOT ${KEY_USABLE} THEN 'key_unknown'
      WHEN d.id IS NULL THEN 'device_unknown'
      WHEN NOT ${addressAllowed("packet.address")} THEN 'address_not_allowed'
      WHEN NOT ${BALANCE_VALID} THEN 'balance_expired'
      WHEN NOT ${PERIOD_IN_FORCE} THEN 'package_expired'
    END AS refusal
  FROM packet
    LEFT JOIN api_keys k ON k.hash = packet.key_hash
    LEFT JOIN accounts a ON a.id = k.account_id
    LEFT JOIN devices d ON d.waid = packet.waid AND ${DEVICE_NAMED}
    LEFT JOIN package_periods p ON ${NEWEST_PERIOD}
),
read AS (
  SELECT resolved.*,
    CASE WHEN takes_decoded THEN decoded ELSE plain END AS reading,
    coalesce(category, CASE WHEN due_ms > ?2 THEN 'reminder' ELSE default_category END) AS taken_category
  FROM resolved
),
candidate AS (
  SELECT read.*,
    reading ->> 'body' AS body,
    reading ->> 'text_mac' AS text_mac,
    CASE WHEN dedupe_window = 1 AND repeat_key IS NULL THEN reading ->> 'dup_mac' END AS dup_mac,
    due_ms + coalesce(life_ms, CASE taken_category WHEN 'otp' THEN ${OTP_LIFE_MS} ELSE ${QUEUE_LIFE_MS} END)
      AS expires_ms,
    CASE
      WHEN (reading ->> 'length') NOT BETWEEN ${TEXT_LENGTH_MIN} AND text_length_max THEN 'text_invalid'
      WHEN due_ms > ?2 + ${SCHEDULE_AHEAD_MAX_MS} THEN 'time_invalid'
      WHEN ${mode === "live" ? deviceCannotSend : "0"} THEN 'device_unavailable'
      WHEN unixepoch('subsec') * 1000 > ?3 THEN 'too_late'
    END AS packet_refusal
  FROM read
)`;
}

const CANDIDATES = candidates("live");

/** Stands for the candidate already, if its time is the same. */
const EQUAL_BEFORE = `m.account_id = candidate.account_id
       AND m.text_mac = candidate.text_mac
       AND m.accepted_ms > ?2 - ${DUPLICATE_WINDOW_MS}
       AND m.dup_mac = candidate.dup_mac
       AND m.status NOT IN ('cancel', 'reject')
       AND m.id <> candidate.id
       AND m.id IS NOT candidate.supersedes
       AND NOT EXISTS (SELECT 1 FROM messages s
         WHERE s.account_id = m.account_id AND s.text_mac = m.text_mac
           AND s.accepted_ms > ?2 - ${DUPLICATE_WINDOW_MS} AND s.supersedes = m.id)`;

/** A repeat may come after the time it asks for: its row would be for now, and a new message to the trigger. */
export const ACCEPT = `${CANDIDATES}
INSERT INTO messages (
  id, account_id, device_id, key_id, period_id, nonce, recipient, category, price_rupiah, accepted_ms, due_ms,
  expires_ms, expect_by_ms, status, reason, rev, body, text_mac, dup_mac, supersedes, repeat_key, repeat_print)
SELECT id, account_id, device_id, key_id, period_id, nonce, recipient, taken_category, price_rupiah, ?2, due_ms,
  expires_ms, expires_ms + ${END_AFTER_EXPIRY_MS}, 'pending', CASE WHEN due_ms > ?2 THEN 'scheduled' ELSE 'queued' END,
  0, body, text_mac, dup_mac, supersedes, repeat_key, repeat_print
FROM candidate
WHERE refusal IS NULL AND packet_refusal IS NULL AND id IS NOT NULL
  AND NOT coalesce(asked_ms < ?2
    AND EXISTS (SELECT 1 FROM messages m WHERE ${EQUAL_BEFORE} AND m.due_ms = asked_ms), 0)
ORDER BY n
RETURNING id, account_id, key_id, device_id, nonce, recipient, category, price_rupiah, period_id, accepted_ms, due_ms,
  expires_ms, substr(body, 1, ${BODY_MARK_LENGTH}) AS body_mark`;

/**
 * One row a packet. Read in this order: own nonce, who asks, repeats, refusals of the request, duplicate, refusals of
 * the packet. What was accepted once is answered again even when nothing more would be.
 */
export const EXPLAIN = `${CANDIDATES},
matched AS (
  SELECT candidate.*, own.id AS taken_id,
    coalesce(own.nonce = candidate.nonce AND own.account_id = candidate.account_id, 0) AS is_own,
    CASE WHEN candidate.repeat_key IS NOT NULL THEN (SELECT m.id FROM messages m
     WHERE m.account_id = candidate.account_id
       AND m.repeat_key = candidate.repeat_key
       AND m.accepted_ms > ?2 - ${REPEAT_KEPT_MS}
       AND m.id <> candidate.id
       AND m.id IS NOT candidate.supersedes
       AND NOT EXISTS (SELECT 1 FROM messages s
         WHERE s.account_id = m.account_id AND s.repeat_key = m.repeat_key AND s.supersedes = m.id)
     ORDER BY m.id DESC LIMIT 1) END AS repeat_id,
    (SELECT m.id FROM messages m
     WHERE ${EQUAL_BEFORE}
       AND (m.due_ms = candidate.due_ms OR m.due_ms = candidate.asked_ms
         OR (m.due_ms = m.accepted_ms AND candidate.due_ms = ?2))
     ORDER BY m.due_ms IS candidate.asked_ms DESC, m.accepted_ms LIMIT 1) AS duplicate_id
  FROM candidate LEFT JOIN messages own ON own.id = candidate.id
)
SELECT c.n, c.account_id, c.key_id, c.device_id, c.waid,
  CASE
    WHEN c.is_own THEN 'accepted'
    WHEN c.refusal IN ('key_unknown', 'device_unknown', 'address_not_allowed') THEN c.refusal
    WHEN c.repeat_id IS NOT NULL THEN CASE WHEN m.repeat_print = c.repeat_print THEN 'repeated' ELSE 'repeat_differs' END
    WHEN c.refusal IS NOT NULL THEN c.refusal
    WHEN c.id IS NULL THEN 'allowed'
    WHEN c.duplicate_id IS NOT NULL THEN 'duplicate'
    WHEN c.packet_refusal IN ('text_invalid', 'time_invalid') THEN c.packet_refusal
    WHEN EXISTS (SELECT 1 FROM opt_outs o WHERE o.device_id = c.device_id AND o.number = c.recipient)
      THEN 'recipient_opted_out'
    WHEN c.owed > 0 OR c.spendable < c.price_rupiah THEN 'balance_short'
    WHEN c.used >= c.quota THEN 'quota_used_up'
    WHEN c.packet_refusal IS NOT NULL THEN c.packet_refusal
    WHEN EXISTS (SELECT 1 FROM abandoned x WHERE x.message_id = c.id AND x.nonce = c.nonce) THEN 'too_late'
    WHEN c.taken_id IS NOT NULL THEN 'id_taken'
    ELSE 'unexplained'
  END AS outcome,
  c.takes_decoded, m.id AS id, m.nonce, m.recipient, m.category, m.price_rupiah, m.period_id, m.accepted_ms,
  m.due_ms, m.expires_ms
FROM matched c
  LEFT JOIN messages m ON m.id = CASE WHEN c.is_own THEN c.id ELSE coalesce(c.repeat_id, c.duplicate_id) END
ORDER BY c.n`;

/**
 * First writer wins: after this, either the message is there or it can never be. ?1 as above, ?2 now.
 */
export const ABANDON = `
INSERT INTO abandoned (message_id, nonce, at_ms)
SELECT r.value ->> 'id', r.value ->> 'nonce', ?2
FROM json_each(?1) r
WHERE r.value ->> 'id' IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM messages m WHERE m.id = r.value ->> 'id' AND m.nonce = r.value ->> 'nonce')
ON CONFLICT (message_id, nonce) DO NOTHING`;
