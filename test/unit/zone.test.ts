/** Days and anniversaries in Indonesia's zones. */
import { describe, expect, it } from "vitest";
import {
  isCalendarDate,
  localDate,
  localDayOfMonth,
  nextAnniversaryMs,
  startOfLocalDayMs,
} from "../../src/domain/zone.ts";

const at = (text: string) => Date.parse(text);

describe("a day", () => {
  it("begins at the zone's own midnight", () => {
    const ms = at("2026-11-30T17:30:00Z");
    expect(localDate(ms, "Asia/Jakarta")).toBe("2026-12-01");
    expect(localDate(at("2026-11-30T16:59:59Z"), "Asia/Jakarta")).toBe("2026-11-30");
    expect(localDate(at("2026-11-30T15:00:00Z"), "Asia/Jayapura")).toBe("2026-12-01");
    expect(startOfLocalDayMs(ms, "Asia/Jakarta")).toBe(at("2026-11-30T17:00:00Z"));
    expect(startOfLocalDayMs(ms, "Asia/Makassar")).toBe(at("2026-11-30T16:00:00Z"));
    expect(localDayOfMonth(ms, "Asia/Jakarta")).toBe(1);
  });
});

describe("an anniversary", () => {
  it("on the 31st falls on the last day of shorter months and finds its way back", () => {
    const dates: string[] = [];
    let ms = at("2026-12-30T17:00:00Z");
    for (let month = 0; month < 5; month += 1) {
      ms = nextAnniversaryMs(ms, 31, "Asia/Jakarta");
      dates.push(localDate(ms, "Asia/Jakarta"));
    }
    expect(dates).toEqual(["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]);
  });

  it("is at midnight of the zone, over the turn of the year", () => {
    const ms = nextAnniversaryMs(at("2026-12-15T03:00:00Z"), 15, "Asia/Makassar");
    expect(new Date(ms).toISOString()).toBe("2027-01-14T16:00:00.000Z");
  });
});

describe("a date", () => {
  it("is one that the calendar has", () => {
    expect(isCalendarDate("2028-02-29")).toBe(true);
    for (const text of ["2027-02-29", "2027-00-10", "27-01-01", "2027-1-1", ""]) {
      expect(isCalendarDate(text)).toBe(false);
    }
  });
});
