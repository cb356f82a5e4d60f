/** The sentence for every refusal, in two languages, and none that quotes or forgets. */
import { describe, expect, it } from "vitest";
import { refusalSentence } from "../../src/domain/refusal-sentences.ts";

describe("a refusal's sentence", () => {
  it("is there in Indonesian and in English, and says something different", () => {
    for (const reason of ["body_malformed", "key_revoked", "number_invalid", "queue_too_long"]) {
      const sentence = refusalSentence(reason);
      expect(sentence?.id).toMatch(/[.]$/);
      expect(sentence?.en).toMatch(/[.]$/);
      expect(sentence?.id).not.toBe(sentence?.en);
    }
  });

  it("is missing for what is no reason", () => {
    expect(refusalSentence("halo")).toBe(null);
    expect(refusalSentence("toString")).toBe(null);
  });
});
