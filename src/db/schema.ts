/**
 * The tables of D1 as drizzle sees them, for typed reads and for generating migrations. What drizzle cannot say
 * (WITHOUT ROWID, STRICT, triggers) stands in the migrations by hand; docs/storage.md explains each table.
 * Money is whole rupiah, times are milliseconds since 1970 UTC, dates are `yyyy-mm-dd` in the account's zone.
 */
import { sql } from "drizzle-orm";
import {
  check,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import { keyModes } from "../domain/api-key.ts";
import { deviceStatuses } from "../domain/device-status.ts";
import { messageCategories, messageReasons, messageStatuses } from "../domain/message-status.ts";
import { textEncodings } from "../domain/message-text.ts";
import { textsKeptChoices } from "../domain/texts-kept.ts";
import { zones } from "../domain/zone.ts";

export const accounts = sqliteTable(
  "accounts",
  {
    id: integer("id").primaryKey(),
    name: text("name").notNull(),
    status: text("status", { enum: ["active", "suspended", "closed"] })
      .notNull()
      .default("active"),
    zone: text("zone", { enum: zones }).notNull().default("Asia/Jakarta"),
    utcOffsetS: integer("utc_offset_s").generatedAlwaysAs(
      sql`CASE zone WHEN 'Asia/Jakarta' THEN 25200 WHEN 'Asia/Makassar' THEN 28800 ELSE 32400 END`,
      { mode: "virtual" },
    ),
    textLengthMax: integer("text_length_max").notNull().default(1000),
    /** Last valid day of the balance; null until the first top-up. */
    balanceExpiresOn: text("balance_expires_on"),
    /** How far `available` may fall below zero: the whole of what postpaid means. */
    creditLimit: integer("credit_limit").notNull().default(0),
    /** These three are caches of the fold of transfers, moved by trigger only. */
    available: integer("available").notNull().default(0),
    held: integer("held").notNull().default(0),
    owed: integer("owed").notNull().default(0),
    /** 1: devices keep events to be asked for although no endpoint wants them. */
    keepsEvents: integer("keeps_events", { mode: "boolean" }).notNull().default(false),
    /** How long texts that came in are kept, at devices and at endpoints. */
    textsKeptDays: integer("texts_kept_days").notNull().default(30),
    /** Falling below it makes an account event, by trigger; null: never. */
    lowBalanceRupiah: integer("low_balance_rupiah").default(20_000),
    /** Where the customer is told of trouble; null: nowhere. */
    email: text("email"),
    createdMs: integer("created_ms").notNull(),
  },
  (table) => [
    check("accounts_texts_kept_days", sql`${table.textsKeptDays} BETWEEN 1 AND 365`),
    check(
      "accounts_zone",
      sql`${table.zone} IN ('Asia/Jakarta', 'Asia/Makassar', 'Asia/Jayapura')`,
    ),
    check("accounts_status", sql`${table.status} IN ('active', 'suspended', 'closed')`),
    check("accounts_text_length_max", sql`${table.textLengthMax} BETWEEN 10 AND 1000`),
    check("accounts_credit_limit", sql`${table.creditLimit} >= 0`),
    check("accounts_available", sql`${table.available} >= -${table.creditLimit}`),
    check("accounts_held", sql`${table.held} >= 0`),
    check("accounts_owed", sql`${table.owed} >= 0`),
  ],
);

export const apiKeys = sqliteTable(
  "api_keys",
  {
    id: integer("id").primaryKey(),
    accountId: integer("account_id").notNull(),
    /** SHA-256, hex. The key itself is shown once and kept nowhere. */
    hash: text("hash").notNull(),
    prefix: text("prefix").notNull(),
    mode: text("mode", { enum: keyModes }).notNull().default("live"),
    name: text("name").notNull(),
    revoked: integer("revoked", { mode: "boolean" }).notNull().default(false),
    anyAddress: integer("any_address", { mode: "boolean" }).notNull().default(false),
    encoding: text("encoding", { enum: textEncodings }).notNull().default("auto"),
    dedupeWindow: integer("dedupe_window", { mode: "boolean" }).notNull().default(true),
    defaultCategory: text("default_category", { enum: messageCategories })
      .notNull()
      .default("notification"),
    createdMs: integer("created_ms").notNull(),
    /** The end of a key that was replaced; null while nothing is known to replace it. */
    validUntilMs: integer("valid_until_ms"),
  },
  (table) => [
    uniqueIndex("api_keys_hash").on(table.hash),
    index("api_keys_account").on(table.accountId),
  ],
);

/** Who may use a key: fixed-width hex, both ends included. Without rows and without "any address": nobody. */
export const addressRules = sqliteTable(
  "address_rules",
  {
    keyId: integer("key_id").notNull(),
    low: text("low").notNull(),
    high: text("high").notNull(),
  },
  (table) => [primaryKey({ columns: [table.keyId, table.low, table.high] })],
);

export const plans = sqliteTable("plans", {
  code: text("code").primaryKey(),
  name: text("name").notNull(),
  /** Messages a period; null for unlimited. */
  quota: integer("quota"),
});

/** Dated prices: the newest that has started holds. `item` is `message` or `plan:<code>`. */
export const tariffs = sqliteTable(
  "tariffs",
  {
    item: text("item").notNull(),
    startsMs: integer("starts_ms").notNull(),
    priceRupiah: integer("price_rupiah").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.item, table.startsMs] }),
    check("tariffs_price", sql`${table.priceRupiah} >= 0`),
  ],
);

export const devices = sqliteTable(
  "devices",
  {
    /** 128 random bits, hex: the name of the device's object. Never reused. */
    id: text("id").primaryKey(),
    waid: text("waid").notNull(),
    accountId: integer("account_id").notNull(),
    name: text("name").notNull(),
    /** A mirror of what the object knows; an older revision never overwrites a newer one. */
    status: text("status", { enum: deviceStatuses }).notNull().default("unpaired"),
    phone: text("phone"),
    statusRevision: integer("status_revision").notNull().default(0),
    createdMs: integer("created_ms").notNull(),
    /** The row stays, so that neither its id nor its waid is ever given out again. */
    deletedMs: integer("deleted_ms"),
    textsKept: text("texts_kept", { enum: textsKeptChoices }).notNull().default("everybody"),
    /** Raised by triggers with everything that the device must hear of; `told` follows when it has. */
    settingsRevision: integer("settings_revision").notNull().default(0),
    settingsTold: integer("settings_told").notNull().default(0),
  },
  (table) => [
    uniqueIndex("devices_waid").on(table.waid),
    index("devices_account").on(table.accountId),
    index("devices_untold")
      .on(table.id)
      .where(sql`settings_told < settings_revision AND deleted_ms IS NULL`),
    check("devices_texts_kept", sql`${table.textsKept} IN ('everybody', 'written_to', 'nobody')`),
  ],
);

export const subscriptions = sqliteTable(
  "subscriptions",
  {
    id: integer("id").primaryKey(),
    deviceId: text("device_id").notNull(),
    planCode: text("plan_code").notNull(),
    /** The day of the month on which periods begin. */
    anchorDay: integer("anchor_day").notNull(),
    active: integer("active", { mode: "boolean" }).notNull().default(true),
    createdMs: integer("created_ms").notNull(),
  },
  (table) => [uniqueIndex("subscriptions_device").on(table.deviceId)],
);

/** Bounds are instants and the cap and the price are frozen: a message belongs to its own period for ever. */
export const packagePeriods = sqliteTable(
  "package_periods",
  {
    id: integer("id").primaryKey(),
    subscriptionId: integer("subscription_id").notNull(),
    deviceId: text("device_id").notNull(),
    startsMs: integer("starts_ms").notNull(),
    /** Not part of the period any more. */
    endsMs: integer("ends_ms").notNull(),
    quota: integer("quota"),
    /** Moved by trigger only: holds minus voids of this period. */
    used: integer("used").notNull().default(0),
    priceRupiah: integer("price_rupiah").notNull(),
  },
  (table) => [
    uniqueIndex("package_periods_device").on(table.deviceId, table.startsMs),
    check("package_periods_bounds", sql`${table.endsMs} > ${table.startsMs}`),
    check(
      "package_periods_used",
      sql`${table.used} >= 0 AND (${table.quota} IS NULL OR ${table.used} <= ${table.quota})`,
    ),
    check("package_periods_price", sql`${table.priceRupiah} >= 0`),
  ],
);

/** The index of messages. No index holds a column that changes, so an update writes one row. */
export const messages = sqliteTable(
  "messages",
  {
    id: integer("id").primaryKey(),
    accountId: integer("account_id").notNull(),
    deviceId: text("device_id").notNull(),
    keyId: integer("key_id").notNull(),
    periodId: integer("period_id").notNull(),
    /** 128 random bits of the request: an equal id with another nonce is another message. */
    nonce: text("nonce").notNull(),
    recipient: text("recipient").notNull(),
    category: text("category", { enum: messageCategories }).notNull(),
    priceRupiah: integer("price_rupiah").notNull(),
    acceptedMs: integer("accepted_ms").notNull(),
    /** Equal to accepted_ms when sent at once. */
    dueMs: integer("due_ms").notNull(),
    expiresMs: integer("expires_ms").notNull(),
    /** By then it must have ended; a person is called when it has not. */
    expectByMs: integer("expect_by_ms").notNull(),
    status: text("status", { enum: messageStatuses }).notNull().default("pending"),
    reason: text("reason", { enum: messageReasons }),
    rev: integer("rev").notNull().default(0),
    endedMs: integer("ended_ms"),
    /** Sealed; null as soon as the device is known to have it. */
    body: text("body"),
    textMac: text("text_mac").notNull(),
    /** Null when the key's duplicate window is off. */
    dupMac: text("dup_mac"),
    /** An equal message that ended unsent within the duplicate window, which this one may follow. */
    supersedes: integer("supersedes"),
    /** Fingerprints of the key by which the request may be repeated and of what it said; null without such a key. */
    repeatKey: text("repeat_key"),
    repeatPrint: text("repeat_print"),
    /** When its device posted it again, after a restore that had forgotten it. */
    restoredMs: integer("restored_ms"),
  },
  (table) => [
    index("messages_repeat")
      .on(table.accountId, table.repeatKey)
      .where(sql`repeat_key IS NOT NULL`),
    index("messages_text").on(table.accountId, table.textMac, table.acceptedMs),
    index("messages_scheduled")
      .on(table.dueMs)
      .where(sql`due_ms >= accepted_ms + 3600000`),
  ],
);

/**
 * The books: `amount` goes from the debit book to the credit book, one immutable row each. The key is what makes
 * an end happen once: `hold`, then one `end` (settle or void), then at most one `refund`; money coming in or out
 * is a `post`. Which books and kinds exist is checked by trigger, because a trigger can grow in a later migration.
 */
export const transfers = sqliteTable(
  "transfers",
  {
    ref: text("ref").notNull(),
    leg: text("leg", { enum: ["hold", "end", "refund", "post"] }).notNull(),
    kind: text("kind", { enum: ["hold", "settle", "void", "refund", "top_up"] }).notNull(),
    accountId: integer("account_id").notNull(),
    debit: text("debit").notNull(),
    credit: text("credit").notNull(),
    amount: integer("amount").notNull(),
    /** The package period whose quota a hold takes and a void gives back. */
    periodId: integer("period_id"),
    atMs: integer("at_ms").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.ref, table.leg] }),
    check("transfers_amount", sql`${table.amount} >= 0`),
    check("transfers_two_books", sql`${table.debit} <> ${table.credit}`),
  ],
);

/** Ids whose acceptance could not be proved in time and was refused to the client: they may never be accepted. */
export const abandoned = sqliteTable(
  "abandoned",
  {
    messageId: integer("message_id").notNull(),
    nonce: text("nonce").notNull(),
    atMs: integer("at_ms").notNull(),
  },
  (table) => [primaryKey({ columns: [table.messageId, table.nonce] })],
);

export const optOuts = sqliteTable(
  "opt_outs",
  {
    deviceId: text("device_id").notNull(),
    number: text("number").notNull(),
    atMs: integer("at_ms").notNull(),
  },
  (table) => [primaryKey({ columns: [table.deviceId, table.number] })],
);

/** Where the cron's rolling scans stand. */
export const scanCursors = sqliteTable("scan_cursors", {
  name: text("name").primaryKey(),
  position: integer("position").notNull(),
});
