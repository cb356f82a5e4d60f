/**
 * One question to D1 with an end to waiting, through the seam that every call to D1 passes. For reads, and for
 * writes that may safely be asked again; the accepting batch and the ends of messages keep deadlines of their own.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";

const TIMEOUT_MS = 10_000;

/** `name` is static. Throws `DeadlinePassed` when D1 is silent; the statement may still take effect. */
export function askD1<T>(name: string, call: () => Promise<T>): Promise<T> {
  return cross("d1", name, () => withDeadline(call(), TIMEOUT_MS));
}
