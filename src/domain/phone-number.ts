/**
 * Recipients' numbers as people write them, made into international digits. Refuses landlines, numbers that
 * cannot exist and anything that is not a number. No I/O.
 */
import { parsePhoneNumberFromString } from "libphonenumber-js/mobile";

/** 62, then 8 and one of 1-3, 5-9, then 7 to 10 digits. */
const INDONESIAN_MOBILE = /^628[1-35-9]\d{7,10}$/;
const INTERNATIONAL = /^[1-9]\d{6,14}$/;
const WRITTEN_LENGTH_MAX = 40;
/** Spaces, dashes of every width, dots, parentheses, and the invisible marks that come along when a contact is copied. */
const NOT_DIALLED = /[\s\p{Pd}\p{Cf}.()]/gu;

/** International digits such as 6281234567890, or null. */
export function parsePhoneNumber(written: string): string | null {
  if (written.length > WRITTEN_LENGTH_MAX) return null;
  const bare = written.replace(NOT_DIALLED, "");
  if (!/^\+?\d+$/.test(bare)) return null;
  const digits = internationalDigits(bare);
  if (digits.startsWith("62")) return INDONESIAN_MOBILE.test(digits) ? digits : null;
  if (!INTERNATIONAL.test(digits)) return null;
  return parsePhoneNumberFromString(`+${digits}`)?.isValid() === true ? digits : null;
}

/** A bare 8 is Indonesian; behind `+` or `00` it is the beginning of a country code. */
function internationalDigits(bare: string): string {
  if (bare.startsWith("00")) return withoutStrayZero(bare.slice(2));
  if (bare.startsWith("+0")) return `62${bare.slice(2)}`;
  if (bare.startsWith("+")) return withoutStrayZero(bare.slice(1));
  if (bare.startsWith("0")) return `62${bare.slice(1)}`;
  if (bare.startsWith("8")) return `62${bare}`;
  return withoutStrayZero(bare);
}

/** `+62 0812…` is written by people who add the country code to what they know by heart. */
function withoutStrayZero(digits: string): string {
  return digits.startsWith("620") ? `62${digits.slice(3)}` : digits;
}
