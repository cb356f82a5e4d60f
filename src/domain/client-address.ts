/**
 * IP addresses and ranges as fixed-width hex, so that "is in the range" is a comparison of strings in SQL.
 * An IPv4 address takes its IPv4-mapped IPv6 form: one width, one order. Refuses names, ports and zone ids.
 */
export interface AddressRange {
  /** 32 lower-case hex digits each, both ends included. */
  low: string;
  high: string;
}

const V4_MAPPED_PREFIX = "00000000000000000000ffff";
const V4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** 32 hex digits, or null when it is no address. */
export function addressHex(written: string): string | null {
  const text = written.trim();
  if (!text.includes(":")) {
    const v4 = v4Hex(text);
    return v4 === null ? null : V4_MAPPED_PREFIX + v4;
  }
  return v6Hex(text);
}

/** The /64 that one IPv6 customer has; null for an IPv4 address, which has none. */
export function network64(hex: string): AddressRange | null {
  if (hex.startsWith(V4_MAPPED_PREFIX)) return null;
  const network = hex.slice(0, 16);
  return { low: network + "0".repeat(16), high: network + "f".repeat(16) };
}

/** One address, or a network in CIDR notation. */
export function addressRange(written: string): AddressRange | null {
  const [address = "", prefix, ...rest] = written.trim().split("/");
  const hex = addressHex(address);
  if (hex === null || rest.length > 0) return null;
  if (prefix === undefined) return { low: hex, high: hex };
  if (!/^\d{1,3}$/.test(prefix)) return null;
  const bitsOfWritten = address.includes(":") ? 128 : 32;
  if (Number(prefix) > bitsOfWritten) return null;
  const hostBits = BigInt(bitsOfWritten - Number(prefix));
  const value = BigInt(`0x${hex}`);
  const low = (value >> hostBits) << hostBits;
  const high = low | ((1n << hostBits) - 1n);
  return { low: paddedHex(low), high: paddedHex(high) };
}

function paddedHex(value: bigint): string {
  return value.toString(16).padStart(32, "0");
}

function v4Hex(text: string): string | null {
  const parts = V4.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return null;
  return parts.map((part) => part.toString(16).padStart(2, "0")).join("");
}

function v6Hex(text: string): string | null {
  const halves = withHexTail(text)?.split("::");
  if (halves === undefined || halves.length > 2) return null;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array.from({ length: missing }, () => "0"), ...tail];
  if (groups.some((group) => !/^[0-9A-Fa-f]{1,4}$/.test(group))) return null;
  return groups.map((group) => group.toLowerCase().padStart(4, "0")).join("");
}

/** Writes a dotted tail (`::ffff:10.0.0.1`) as two groups. */
function withHexTail(text: string): string | null {
  const lastColon = text.lastIndexOf(":");
  const tail = text.slice(lastColon + 1);
  if (!tail.includes(".")) return text;
  const v4 = v4Hex(tail);
  return v4 === null ? null : `${text.slice(0, lastColon + 1)}${v4.slice(0, 4)}:${v4.slice(4)}`;
}

/** Fixed-width hex as people write the address: dotted, or IPv6 with its longest run of zeros left out. */
export function addressText(hex: string): string {
  if (hex.startsWith(V4_MAPPED_PREFIX)) {
    return (hex.slice(24).match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).join(".");
  }
  const groups = (hex.match(/.{4}/g) ?? []).map((group) => group.replace(/^0{1,3}/, ""));
  const text = groups.join(":");
  const [longest] = [...text.matchAll(/\b0(?::0)+\b/g)].toSorted(
    ([one], [other]) => other.length - one.length,
  );
  if (longest === undefined) return text;
  const head = text.slice(0, longest.index).replace(/:$/, "");
  const tail = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${head}::${tail}`;
}

/** A range as one canonical text: an address, or a network in CIDR notation. */
export function rangeText({ low, high }: AddressRange): string {
  if (low === high) return addressText(low);
  const hostBits = (BigInt(`0x${low}`) ^ BigInt(`0x${high}`)).toString(2).length;
  const isV4 = low.startsWith(V4_MAPPED_PREFIX) && high.startsWith(V4_MAPPED_PREFIX);
  return `${addressText(low)}/${(isV4 ? 32 : 128) - hostBits}`;
}
