/**
 * The tables of D1 that are not money: what was asked, what an account hears, its webhooks, and what test keys leave. As
 * schema.ts, of which this is the second half.
 */
import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { messageCategories } from "../domain/message-status.ts";

/** The request log: lines of one account gathered by one isolate. `lastLine` numbers the newest of them. */
export const requestLog = sqliteTable(
  "request_log",
  {
    accountId: integer("account_id").notNull(),
    lastLine: integer("last_line").notNull(),
    lineCount: integer("line_count").notNull(),
    /** Of the newest line. */
    atMs: integer("at_ms").notNull(),
    /** JSON; directory/request-log.ts says what a line holds. */
    lines: text("lines").notNull(),
  },
  (table) => [primaryKey({ columns: [table.accountId, table.lastLine] })],
);

/** Requests with keys that nobody has, by hour and address (IPv6: by /64). */
export const unknownKeyRequests = sqliteTable(
  "unknown_key_requests",
  {
    hourMs: integer("hour_ms").notNull(),
    address: text("address").notNull(),
    requestCount: integer("request_count").notNull(),
    lastMs: integer("last_ms").notNull(),
    /** These three of the newest request. */
    keyPrefix: text("key_prefix").notNull(),
    endpoint: text("endpoint").notNull(),
    requestId: text("request_id").notNull(),
  },
  (table) => [primaryKey({ columns: [table.hourMs, table.address] })],
);

/** What an account should hear without having asked. `id` rises with time, also when an event grows. */
export const accountEvents = sqliteTable(
  "account_events",
  {
    accountId: integer("account_id").notNull(),
    id: integer("id").notNull(),
    type: text("type").notNull(),
    /** One event of a type, subject and hour; for refusals the reason. */
    subject: text("subject").notNull(),
    hourMs: integer("hour_ms").notNull(),
    atMs: integer("at_ms").notNull(),
    data: text("data").notNull(),
  },
  (table) => [primaryKey({ columns: [table.accountId, table.id] })],
);

/** Messages of test keys: never sent, never paid, and nowhere near the real ones. */
export const testMessages = sqliteTable(
  "test_messages",
  {
    accountId: integer("account_id").notNull(),
    id: integer("id").notNull(),
    waid: text("waid").notNull(),
    keyId: integer("key_id").notNull(),
    nonce: text("nonce").notNull(),
    recipient: text("recipient").notNull(),
    category: text("category", { enum: messageCategories }).notNull(),
    priceRupiah: integer("price_rupiah").notNull(),
    acceptedMs: integer("accepted_ms").notNull(),
    dueMs: integer("due_ms").notNull(),
    expiresMs: integer("expires_ms").notNull(),
    dupMac: text("dup_mac"),
    repeatKey: text("repeat_key"),
    repeatPrint: text("repeat_print"),
    /** When it is taken to be rejected or cancelled; null when it is not. */
    endsUnsentMs: integer("ends_unsent_ms"),
  },
  (table) => [
    primaryKey({ columns: [table.accountId, table.id] }),
    index("test_messages_due").on(table.dueMs),
  ],
);

/** Webhooks. Their secrets, queues and attempts are known to their objects alone. */
export const endpoints = sqliteTable(
  "endpoints",
  {
    /** 128 random bits, hex: the name of the endpoint's object. Never reused. */
    id: text("id").primaryKey(),
    accountId: integer("account_id").notNull(),
    url: text("url").notNull(),
    format: text("format", { enum: ["form", "json"] }).notNull(),
    /** Of a form, which carries one kind of event. */
    kind: text("kind", { enum: ["inbox", "tracking"] }),
    /** JSON arrays of event types and of device ids; null: all. */
    types: text("types"),
    devices: text("devices"),
    allowHttp: integer("allow_http", { mode: "boolean" }).notNull().default(false),
    enabled: integer("enabled", { mode: "boolean" }).notNull().default(true),
    createdMs: integer("created_ms").notNull(),
    /** Set until its object is closed; then the row goes. */
    deletedMs: integer("deleted_ms"),
    /** The last account event it has, and until when somebody brings it more. */
    accountAfter: integer("account_after").notNull(),
    pumpedUntilMs: integer("pumped_until_ms").notNull().default(0),
  },
  (table) => [
    index("endpoints_account").on(table.accountId),
    index("endpoints_deleted")
      .on(table.deletedMs)
      .where(sql`deleted_ms IS NOT NULL`),
    check("endpoints_kind", sql`(${table.format} = 'form') = (${table.kind} IS NOT NULL)`),
  ],
);

/** Mails to customers that are on their way; written by trigger together with the event that they tell of. */
export const accountMails = sqliteTable(
  "account_mails",
  {
    id: integer("id").primaryKey(),
    accountId: integer("account_id").notNull(),
    type: text("type").notNull(),
    data: text("data").notNull(),
    atMs: integer("at_ms").notNull(),
    attempts: integer("attempts").notNull().default(0),
    nextMs: integer("next_ms").notNull(),
  },
  (table) => [
    index("account_mails_due").on(table.nextMs),
    index("account_mails_account").on(table.accountId),
  ],
);
