/**
 * Requests of every shape for the property tests: bytes, JSON, half-good requests with numbers, dates and texts in
 * all notations. Generates and judges nothing.
 */
import fc from "fast-check";

/** Stands for a token that JSON.stringify would not write, such as 1e400. */
const RAW = "@raw:";

export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(/"@raw:([^"]*)"/g, "$1");
}

const rawNumber = fc
  .constantFrom("1e400", "-0", "0.1e-7", "6.281234567890E+12", "12345678901234567890", "1E5", "-81")
  .map((token) => RAW + token);

const digits = (min: number, max: number) =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: min, maxLength: max })
    .map((d) => d.join(""));

/** Mobile numbers as people write them, and near misses. */
export const anyNumber: fc.Arbitrary<unknown> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("+62", "62", "0", "", "0062", "+62 0", "620", "+", "00", "+65", "+1 "),
      fc.constantFrom("", " ", "-", ".", "(", "\u00a0", "\u202a", "\u2011"),
      fc.constantFrom("812", "8", "899", "21", "841", "912"),
      digits(5, 11),
    )
    .map((parts) => parts.join("")),
  fc.integer({ min: 6_281_000_000_000, max: 6_289_999_999_999 }),
  fc.double(),
  fc.string({ unit: "binary", maxLength: 50 }),
  fc.constantFrom(
    "٠٨١٢٣٤٥٦٧٨٩٠",
    "08１２34567890",
    "6281234567890@s.whatsapp.net",
    "1.2E+15",
    "0x62",
  ),
  rawNumber,
);

/** Times in the documented form, others, and what only looks like one. */
export const anyTime: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom("", null, undefined, "0000-00-00 00:00:00", "besok", 0, false, [], {}),
  fc
    .tuple(
      fc.date({ noInvalidDate: true }),
      fc.constantFrom(10, 16, 19, 23, 24),
      fc.constantFrom("T", " "),
    )
    .map(([date, length, gap]) => date.toISOString().slice(0, length).replace("T", gap)),
  fc
    .tuple(
      fc.integer({ min: 2025, max: 2029 }),
      ...Array.from({ length: 5 }, () => fc.integer({ min: 0, max: 99 })),
      fc.constantFrom("-", ":", "/", "."),
    )
    .map(([year, month, day, hour, minute, second, mark]) => {
      const two = (part: unknown) => String(part).padStart(2, "0");
      const clock = [two(hour), two(minute), two(second)].join(mark as string);
      return `${year}-${two(month)}-${two(day)} ${clock}`;
    }),
  fc.double(),
  rawNumber,
  fc.string({ maxLength: 25 }),
);

const sentence = fc
  .array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }), {
    minLength: 2,
    maxLength: 8,
  })
  .map((words) => `Halo ${words.join(" ")} ya`);

/** Texts plain, url-encoded, encoded twice, garbled, too short, too long, and what is no text. */
export const anyText: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: sentence },
  { weight: 2, arbitrary: sentence.map((text) => formEncoded(text)) },
  sentence.map((text) => formEncoded(latin1(text))),
  sentence.map((text) => formEncoded(formEncoded(text))),
  fc.string({ unit: "binary", maxLength: 40 }),
  // Half pairs: JSON can write what UTF-8 cannot.
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 })
    .map((units) => String.fromCharCode(...units)),
  fc.integer({ min: 0, max: 1_100 }).map((length) => "p".repeat(length)),
  fc.constantFrom(
    "%",
    "%00+nol+di+dalam",
    "Rusak%E2%82+sekali+ini",
    "a+b",
    null,
    true,
    [],
    {},
    "\u0000".repeat(12),
  ),
  fc.double(),
  rawNumber,
);

function formEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll("%20", "+");
}

function latin1(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

/** Anything that JSON can hold, names of every object's own included. */
const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 5 }),
  fc.dictionary(
    fc.constantFrom(
      "__proto__",
      "constructor",
      "toString",
      "apikey",
      "waid",
      "datapacket",
      "to",
      "text",
    ),
    fc.jsonValue({ maxDepth: 2 }),
  ),
);

const anyDeep = fc
  .tuple(
    fc.constantFrom(["[", "]"], ['{"a":', "}"], ['{"datapacket":[', "]}"], ["[[", "]]"]),
    fc.integer({ min: 1, max: 13_000 }),
    fc.boolean(),
  )
  .map(([[open = "", close = ""], times, closes]) =>
    [open.repeat(times), "1", closes ? close.repeat(times) : ""].join(""),
  );

/** Bytes of any kind: noise, JSON of any shape, deep, and now and then far too many. */
export const anyBytes: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc
  .oneof(
    { weight: 6, arbitrary: fc.uint8Array({ maxLength: 200 }) },
    { weight: 8, arbitrary: anyJson.map((value) => jsonText(value)) },
    { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) },
    { weight: 2, arbitrary: anyDeep },
    { weight: 2, arbitrary: fc.webQueryParameters() },
    fc.integer({ min: 65_530, max: 120_000 }).map((length) => "[".padEnd(length, " ")),
  )
  .map((body) => asBytes(body));

/** A good request with some of its bytes changed. */
export function damaged(body: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  const wound = fc.tuple(
    fc.nat(),
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom("set", "cut", "add"),
  );
  return fc.tuple(body, fc.array(wound, { minLength: 1, maxLength: 4 })).map(([text, wounds]) => {
    const bytes = [...asBytes(text)];
    for (const [at, byte, how] of wounds) {
      const place = at % Math.max(1, bytes.length);
      if (how === "set") bytes[place] = byte;
      else if (how === "cut") bytes.splice(place, 1);
      else bytes.splice(place, 0, byte);
    }
    return Uint8Array.from(bytes);
  });
}

function asBytes(body: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(typeof body === "string" ? new TextEncoder().encode(body) : body);
}

const goodPacket = fc.record(
  {
    number: fc
      .integer({ min: 81_200_000_000, max: 81_299_999_999 })
      .map((number) => `+62 ${number}`),
    message: sentence,
    sendingdatetime: fc.constantFrom("", null, "2017-01-01 23:59:59"),
  },
  { requiredKeys: ["number", "message"] },
);

/** What a packet of the old API may look like: good, with one thing wrong, all at random, or none at all. */
export const anyPacket: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 2, arbitrary: goodPacket },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        goodPacket,
        fc.oneof(
          fc.record({ number: anyNumber }),
          fc.record({ message: anyText }),
          fc.record({ sendingdatetime: anyTime }),
        ),
      )
      .map(([good, change]) => ({ ...good, ...change })),
  },
  {
    weight: 3,
    arbitrary: fc.record(
      { number: anyNumber, message: anyText, sendingdatetime: anyTime },
      { requiredKeys: [] },
    ),
  },
  fc.jsonValue({ maxDepth: 2 }),
);
