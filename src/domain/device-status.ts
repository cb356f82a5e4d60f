/** How a device stands, in the words that customers and the books see. No I/O, no clock, no transitions. */
export const deviceStatuses = [
  "unpaired",
  "pairing",
  "connected",
  "reconnecting",
  "logged_out",
  "paused",
  "banned",
] as const;
export type DeviceStatus = (typeof deviceStatuses)[number];
