/** Reading a text as a key takes it, counting it, and finding texts that look the same. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  fitsNoKey,
  isCarriable,
  normalisedText,
  readText,
  textLength,
} from "../../src/domain/message-text.ts";

/** What a key on `auto` takes. */
function auto(written: string): string | null {
  const readings = readText(written);
  return readings[readings.auto];
}

describe("auto", () => {
  it("decodes whatever PHP's urlencode writes of a text with a space", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (text) => {
        const message = `a ${text} b`;
        const encoded = encodeURIComponent(message).replaceAll("%20", "+");
        const tidy = message.replace(/\r\n?/g, "\n").trim();
        const bytesOnly = !/[^\u0000-\u00ff]/.test(message) && /[\u0080-\u00ff]/.test(message);
        fc.pre(!bytesOnly);
        expect(auto(encoded)).toBe(tidy);
      }),
    );
  });

  it("leaves every text with white space as it is", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme" }),
        fc.string({ unit: "grapheme" }),
        (left, right) => {
          const message = `x${left} ${right}x`;
          expect(auto(message)).toBe(message.replace(/\r\n?/g, "\n").trim());
        },
      ),
    );
  });

  it("undoes a utf8_encode on top of UTF-8, and only that", () => {
    const twice = (text: string) =>
      encodeURIComponent(
        Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""),
      );
    expect(auto(twice("Café sudah buka 😀"))).toBe("Café sudah buka 😀");
    expect(auto(encodeURIComponent("Café buka"))).toBe("Café buka");
    expect(auto(encodeURIComponent("naïve Ångström"))).toBe("naïve Ångström");
  });

  it("decodes once, and knows its one misreading", () => {
    expect(auto("a%252Bb")).toBe("a%2Bb");
    expect(auto("golongan-darah-O+")).toBe("golongan-darah-O");
    expect(auto("100%")).toBe("100%");
    expect(auto("diskon%ZZ")).toBe("diskon%ZZ");
    expect(auto("Halo,apa+kabar")).toBe("Halo,apa+kabar");
  });
});

describe("a text's length", () => {
  it("is counted in code points", () => {
    expect(textLength("halo")).toBe(4);
    expect(textLength("😀é")).toBe(2);
    expect(textLength("😀".repeat(1000))).toBe(1000);
  });

  it("is not counted beyond what may be sent", () => {
    expect(textLength("😀".repeat(50_000))).toBe(1001);
  });
});

describe("a text that fits no key", () => {
  const letters = (count: number) => "y".repeat(count);

  it("is too short or too long however it is read", () => {
    for (const written of [letters(9), letters(1001), "%41".repeat(3), "%41".repeat(1001)]) {
      expect(fitsNoKey(readText(written))).toBe(true);
    }
  });

  it("is not decoded when it is too long to be short", () => {
    const character = encodeURIComponent("ð\u009f\u0098\u0080");
    expect(character).toHaveLength(24);
    expect(fitsNoKey(readText(character.repeat(1000)))).toBe(false);
    expect(readText(character.repeat(1000)).decoded).toBe("😀".repeat(1000));
    expect(readText(`${character.repeat(1000)}%20`).decoded).toBe(null);
  });

  it("is not one that fits in one of its readings", () => {
    for (const written of [letters(10), letters(1000), "%41".repeat(400), "%41".repeat(4)]) {
      expect(fitsNoKey(readText(written))).toBe(false);
    }
    expect(fitsNoKey(readText(`rusak%00 ${letters(10)}`))).toBe(false);
  });

  it("cannot be carried however it is read", () => {
    expect(fitsNoKey(readText(`rusak \0 ${letters(10)}`))).toBe(true);
    expect(fitsNoKey(readText(`rusak \ud83d ${letters(10)}`))).toBe(true);
  });
});

describe("what cannot be carried", () => {
  it("is half a pair and a NUL", () => {
    expect(isCarriable("biasa 😀")).toBe(true);
    expect(isCarriable("rusak \ud83d")).toBe(false);
    expect(isCarriable("nol \0")).toBe(false);
  });
});

describe("texts that look the same", () => {
  it("are the same once normalised", () => {
    const plain = normalisedText("Promo besar hari ini");
    for (const variant of [
      "PROMO  besar\nhari ini ",
      "Pro\u200bmo be\u00adsar hari ini",
      "Рromо bеsаr hаri ini",
      "Ｐｒｏｍｏ besar hari ini",
    ]) {
      expect(normalisedText(variant)).toBe(plain);
    }
    expect(normalisedText("Promo besar hari itu")).not.toBe(plain);
  });
});
