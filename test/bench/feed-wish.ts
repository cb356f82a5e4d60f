/** What the bench asks of the Worker that feeds an endpoint. */
import { z } from "zod";

export const feedWish = z.object({
  accountId: z.number(),
  endpointId: z.string(),
  /** The last number the endpoint has of this source. */
  after: z.number(),
  count: z.number(),
  text: z.string(),
});
export type FeedWish = z.infer<typeof feedWish>;
