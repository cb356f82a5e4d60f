/**
 * One message on its way through the client: who it is, whether it may go, and its key commit. The commit is asked for
 * when its sealed frame stands before the wire, so that nothing but the write comes after it: whatever is lost until
 * then is proved not to have left.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { HostError } from "../log.ts";
import { CommitRefused } from "../store.ts";
import type { MessageTag } from "../store.ts";
import type { NotSentReason } from "../whatsapp.ts";
import type { SendCommits } from "./send-commits.ts";

/** Lives in the async context of its send. */
export interface SendScope {
  tag: MessageTag;
  verdict(): "go" | NotSentReason;
  /** Decided at the first key use, for all devices alike. */
  decided: "go" | NotSentReason | null;
  /** Once sent nothing may be claimed, unless the device itself refused it. */
  commit: "none" | "sent" | "refused";
  /** Something was encrypted for it. */
  isSealed: boolean;
  /** Its commit, once a sealed frame is there to leave. */
  durable: Promise<void> | null;
}

export const sendScope = new AsyncLocalStorage<SendScope>();

export function newSendScope(tag: MessageTag, verdict: SendScope["verdict"]): SendScope {
  return { tag, verdict, decided: null, commit: "none", isSealed: false, durable: null };
}

/** Keeps every byte of a message back; becomes a `not_sent` result. */
export class SendRefused extends HostError {
  override name = "SendRefused";
}

/** For the gate: what must be durable before a frame of the send at work may leave; null: nothing. */
export function commitOfSend(commits: SendCommits): Promise<void> | null {
  const scope = sendScope.getStore();
  if (scope === undefined || !scope.isSealed) return null;
  if (scope.durable === null) {
    scope.durable = commit(commits, scope);
    // Whoever needs the outcome awaits it; the store itself has then already failed.
    scope.durable.catch(() => undefined);
  }
  return scope.durable;
}

async function commit(commits: SendCommits, scope: SendScope): Promise<void> {
  if (scope.decided !== "go") throw new SendRefused(scope.decided ?? "session_ended");
  try {
    await commits.join(scope.tag, {
      isGivenUp: () => scope.decided !== "go",
      onSent: () => {
        scope.commit = "sent";
      },
    });
  } catch (error) {
    if (error instanceof CommitRefused) scope.commit = "refused";
    throw error;
  }
}
