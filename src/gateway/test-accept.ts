/**
 * Accepting messages of a test key: ONE D1 batch that judges them by the statement of the real path and stores the good
 * ones among the test messages. Nothing is held, no quota is used, no device is called. Real keys are refused here,
 * as test keys are there.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { Clock } from "../domain/clock.ts";
import { firstMessageIdAt } from "../domain/id.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { TEST_UNSENT_AFTER_MS } from "../domain/test-numbers.ts";
import { DAY_MS } from "../domain/zone.ts";
import { packetRows, type AcceptRequest } from "./accept.ts";
import { candidates, DUPLICATE_WINDOW_MS } from "./accept-sql.ts";
import { readVerdicts, type AcceptVerdict, type ExplainRow } from "./accept-verdict.ts";

/** Test messages of an account in 24 hours; more are answered like a used-up quota. */
export const TEST_MESSAGES_A_DAY = 1_000;

const TIMEOUT_MS = 3_000;
const ATTEMPTS = 2;
const DECIDE_WITHIN_MS = 8_000;
/** A message's id was drawn at most so long before it was accepted. */
const ID_BEFORE_ACCEPTANCE_MS = 6_000;

const OPTED_OUT =
  "EXISTS (SELECT 1 FROM opt_outs o WHERE o.device_id = c.device_id AND o.number = c.recipient)";
const QUOTA_USED_UP = `(coalesce(c.used >= c.quota, 0) OR (
    SELECT count(*) FROM test_messages t WHERE t.account_id = c.account_id AND t.id >= ?4) >= ${TEST_MESSAGES_A_DAY})`;

/**
 * ?1 packets, ?2 now, ?3 decide_by, ?4 the first id of the last 24 hours, ?5 numbers that end unsent, and when,
 * ?6 the first id that may lie in the duplicate window.
 */
const ACCEPT_TEST = `${candidates("test")}
INSERT INTO test_messages (
  account_id, id, waid, key_id, nonce, recipient, category, price_rupiah, accepted_ms, due_ms, expires_ms, dup_mac,
  repeat_key, repeat_print, ends_unsent_ms)
SELECT account_id, id, waid, key_id, nonce, recipient, taken_category, price_rupiah, ?2, due_ms, expires_ms, dup_mac,
  repeat_key, repeat_print, due_ms + (?5 ->> recipient)
FROM candidate c
WHERE refusal IS NULL AND packet_refusal IS NULL AND id IS NOT NULL AND owed = 0 AND spendable >= price_rupiah
  AND NOT ${OPTED_OUT} AND NOT ${QUOTA_USED_UP}
  AND NOT coalesce(asked_ms < ?2 AND EXISTS (SELECT 1 FROM test_messages t
    WHERE t.account_id = c.account_id AND t.id >= ?6 AND t.id <> c.id
      AND t.dup_mac = c.dup_mac AND t.accepted_ms > ?2 - ${DUPLICATE_WINDOW_MS}
      AND coalesce(t.ends_unsent_ms > ?2, 1) AND t.due_ms = asked_ms), 0)
ORDER BY n`;

/** As in the real path, and in its order. ?5 is the first id that may lie in the duplicate window. */
const EXPLAIN_TEST = `${candidates("test")},
matched AS (
  SELECT candidate.*, own.id AS taken_id, coalesce(own.nonce = candidate.nonce, 0) AS is_own,
    CASE WHEN candidate.repeat_key IS NOT NULL THEN (SELECT t.id FROM test_messages t
     WHERE t.account_id = candidate.account_id AND t.id >= ?4 AND t.id <> candidate.id
       AND t.repeat_key = candidate.repeat_key
     ORDER BY t.id DESC LIMIT 1) END AS repeat_id,
    (SELECT t.id FROM test_messages t
     WHERE t.account_id = candidate.account_id AND t.id >= ?5 AND t.id <> candidate.id
       AND t.dup_mac = candidate.dup_mac AND t.accepted_ms > ?2 - ${DUPLICATE_WINDOW_MS}
       AND coalesce(t.ends_unsent_ms > ?2, 1)
       AND (t.due_ms = candidate.due_ms OR t.due_ms = candidate.asked_ms
         OR (t.due_ms = t.accepted_ms AND candidate.due_ms = ?2))
     ORDER BY t.due_ms IS candidate.asked_ms DESC, t.id LIMIT 1) AS duplicate_id
  FROM candidate LEFT JOIN test_messages own ON own.account_id = candidate.account_id AND own.id = candidate.id
)
SELECT c.n, c.account_id, c.key_id, c.device_id, c.waid,
  CASE
    WHEN c.is_own THEN 'accepted'
    WHEN c.refusal IN ('key_unknown', 'device_unknown', 'address_not_allowed') THEN c.refusal
    WHEN c.repeat_id IS NOT NULL THEN CASE WHEN t.repeat_print = c.repeat_print THEN 'repeated' ELSE 'repeat_differs' END
    WHEN c.refusal IS NOT NULL THEN c.refusal
    WHEN c.id IS NULL THEN 'allowed'
    WHEN c.duplicate_id IS NOT NULL THEN 'duplicate'
    WHEN c.packet_refusal IN ('text_invalid', 'time_invalid') THEN c.packet_refusal
    WHEN ${OPTED_OUT} THEN 'recipient_opted_out'
    WHEN c.owed > 0 OR c.spendable < c.price_rupiah THEN 'balance_short'
    WHEN ${QUOTA_USED_UP} THEN 'quota_used_up'
    WHEN c.packet_refusal IS NOT NULL THEN c.packet_refusal
    WHEN c.taken_id IS NOT NULL THEN 'id_taken'
    ELSE 'unexplained'
  END AS outcome,
  c.takes_decoded, t.id, t.nonce, t.recipient, t.category, t.price_rupiah, c.period_id, t.accepted_ms, t.due_ms,
  t.expires_ms
FROM matched c
  LEFT JOIN test_messages t ON t.account_id = c.account_id AND t.id = CASE
    WHEN c.is_own THEN c.id ELSE coalesce(c.repeat_id, c.duplicate_id) END
ORDER BY c.n`;

/** Null: nothing is known. A second try has the same ids and finds what the first one wrote. */
export async function decideTest(
  { db, clock }: { db: D1Database; clock: Clock },
  request: AcceptRequest,
): Promise<AcceptVerdict | null> {
  const nowMs = clock();
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      return await withDeadline(acceptTestMessages(db, request, nowMs), TIMEOUT_MS);
    } catch (error) {
      logWarning("outcome of a test batch unknown", errorFields(error));
    }
  }
  return null;
}

async function acceptTestMessages(
  db: D1Database,
  request: AcceptRequest,
  nowMs: number,
): Promise<AcceptVerdict | null> {
  const packets = packetRows([request]);
  const times = [nowMs, nowMs + DECIDE_WITHIN_MS, firstMessageIdAt(nowMs - DAY_MS)];
  const windowFrom = firstMessageIdAt(nowMs - DUPLICATE_WINDOW_MS - ID_BEFORE_ACCEPTANCE_MS);
  const unsent = JSON.stringify(TEST_UNSENT_AFTER_MS);
  const [, explained] = await cross("d1", "accept_test", () =>
    db.batch<ExplainRow>([
      db.prepare(ACCEPT_TEST).bind(packets, ...times, unsent, windowFrom),
      db.prepare(EXPLAIN_TEST).bind(packets, ...times, windowFrom),
    ]),
  );
  const { address, messages } = request;
  const [verdict] = readVerdicts(
    [{ address, messageCount: messages.length }],
    explained?.results ?? [],
  );
  return verdict ?? null;
}
