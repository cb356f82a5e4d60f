/**
 * What may be asked of the Alerts object over RPC. One object keeps every alert until a person acknowledged it and
 * tells the operator's sinks. It needs neither D1 nor any other object, so that an alert about those gets out.
 */
import type { LogFields } from "../domain/log.ts";

/** An alert of one name about one thing: repeating it adds to its count. */
export interface RaisedAlert {
  name: string;
  /** Whom or what it is about; empty for the whole gateway. */
  subject: string;
  /** Of the newest occurrence. */
  fields: LogFields;
  /** Occurrences since it was raised last. */
  count: number;
}

export interface AlertView {
  id: number;
  name: string;
  subject: string;
  fields: LogFields;
  /** At least so often since it was opened. */
  count: number;
  firstMs: number;
  lastMs: number;
  acknowledgedMs: number | null;
}

export const channelNames = ["webhook", "mail"] as const;
export type ChannelName = (typeof channelNames)[number];

export interface ChannelView {
  channel: ChannelName;
  isConfigured: boolean;
  toldMs: number | null;
  /** Null while the last try succeeded. */
  failingSinceMs: number | null;
}

export interface AlertsView {
  /** Newest occurrence first. */
  alerts: AlertView[];
  /** Not shown here. */
  more: number;
  channels: ChannelView[];
}

export interface AlertsRpc {
  raise(alerts: RaisedAlert[]): Promise<void>;
  /** `all`: those that are acknowledged as well. */
  list(which: "open" | "all"): Promise<AlertsView>;
  /** No more repeats of these, or of all that are open (null). Answers how many were open. */
  acknowledge(ids: number[] | null): Promise<number>;
}
