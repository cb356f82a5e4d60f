/** How large a frame of the bridge is: in bytes, as the other side counts it. */
import { expect, it } from "vitest";
import { exceedsFrame, FRAME_BYTES_MAX } from "../../src/bridge/wire.ts";

it("a frame is judged by its bytes, whatever its letters", () => {
  for (const [letter, bytes] of [
    ["a", 1],
    ["\u00e9", 2],
    ["\u20ac", 3],
  ] as const) {
    const most = Math.floor(FRAME_BYTES_MAX / bytes);
    expect(exceedsFrame(letter.repeat(most))).toBe(false);
    expect(exceedsFrame(letter.repeat(most + 1))).toBe(true);
  }
});
