/** What the process of bare Baileys is told, and what it tells. Shapes only. */
import { z } from "zod";

/** In the environment variable BARE, as JSON. */
export const bareSettings = z.object({
  whatsAppUrl: z.string(),
  simulatorUrl: z.string(),
  phone: z.string(),
});
export type BareSettings = z.infer<typeof bareSettings>;

export const bareReport = z.object({ port: z.number() });

/** The body of a POST. */
export const bareTexts = z.array(z.object({ to: z.string(), text: z.string() }));
export type BareTexts = z.infer<typeof bareTexts>;
