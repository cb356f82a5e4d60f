/** What the documented numbers do to a request of a test key. Real requests never come here. */
import type { MessageFailure, RequestFailure } from "../domain/failure.ts";
import { err, type Result } from "../domain/result.ts";
import { testPacketFailure, testRequestFailure } from "../domain/test-numbers.ts";
import type { SendPacket } from "./prepare-message.ts";

interface Forced {
  /** Of the whole request. */
  failure: RequestFailure | null;
  packets: Result<SendPacket, MessageFailure>[];
}

export function forcedByNumbers(packets: Result<SendPacket, MessageFailure>[]): Forced {
  const numbers = packets.flatMap((packet) => (packet.ok ? [packet.value.to] : []));
  return {
    failure: testRequestFailure(numbers),
    packets: packets.map((packet) => {
      const failure = packet.ok ? testPacketFailure(packet.value.to) : null;
      return failure === null ? packet : err(failure);
    }),
  };
}
