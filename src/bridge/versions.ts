/**
 * The versions of the bridge's protocol and how two sides find the one they speak. Deploys are not atomic, so each side
 * speaks its own version and the one before: the edge names what it speaks in its answer to the upgrade, the host takes
 * the highest it knows and says so in its hello. What a version added beyond the first is listed here and nowhere else.
 * Holds no I/O.
 */

/**
 * - 1: the frames of the first release.
 * - 2: control `logins`, `client_refused`; command `ask_restriction`, fact `unrestricted`, `attemptsAgoMs` in the welcome.
 */
export const PROTOCOL_VERSION = 2;
/** Newest first. */
export const PROTOCOL_VERSIONS_ACCEPTED: readonly number[] = [2, 1];

/** In the edge's answer to an upgrade: the versions it speaks, comma-separated. An edge without it speaks the first. */
export const HEADER_PROTOCOLS = "x-kabar-protocols";

/** What an edge writes into that header. */
export const PROTOCOLS_OFFERED = PROTOCOL_VERSIONS_ACCEPTED.join(",");

/** The highest version that both speak; null: none, one of them is too old. */
export function commonVersion(offered: string | undefined): number | null {
  const theirs = (offered ?? "1").split(",").map((version) => Number(version.trim()));
  const common = PROTOCOL_VERSIONS_ACCEPTED.filter((version) => theirs.includes(version));
  return common.length === 0 ? null : Math.max(...common);
}

/** Whether a peer of this version knows what version 2 added. */
export function knowsLoginOrders(protocol: number): boolean {
  return protocol >= 2;
}

/** Whether a peer of this version knows `ask_restriction` and `unrestricted`. */
export function knowsRestrictions(protocol: number): boolean {
  return protocol >= 2;
}
