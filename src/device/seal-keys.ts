/**
 * Which seal keys the stored session rows name: read from the head of each sealed value, which only says what it was
 * sealed with. Opens nothing; the keys are with the hosts.
 */
/** Format, length of the name, and the longest name. */
const HEAD_CHARACTERS = 48;
const NAME_AT = 2;

/** Rows by seal key id, archived generations included; those whose head says nothing under an empty name. */
export function countSealKeys(sql: SqlStorage): Record<string, number> {
  const counts: Record<string, number> = {};
  const heads = sql.exec<{ head: string }>(
    `SELECT substr(value, 1, ${HEAD_CHARACTERS}) AS head FROM session_rows`,
  );
  for (const { head } of heads) {
    const name = nameIn(head);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function nameIn(head: string): string {
  try {
    const bytes = atob(head);
    const name = bytes.slice(NAME_AT, NAME_AT + bytes.charCodeAt(1));
    return /^[A-Za-z0-9_-]{1,32}$/.test(name) ? name : "";
  } catch {
    // Shorter than a head, or not base64.
    return "";
  }
}
