/**
 * Versions of the bridge as they were released: the JSON Schema of every frame, and frames recorded between a host and an
 * edge of that version. A released version's files are never changed.
 */
import { Validator, type Schema } from "@cfworker/json-schema";
import firstFrames from "../golden/bridge/1.frames.json" with { type: "json" };
import firstSchemas from "../golden/bridge/1.schema.json" with { type: "json" };

/** Who says it: a frame of a host's control socket, of a host on a device's socket, and the edge's side of both. */
export type Speaker = "host-control" | "fleet" | "host" | "device";

export interface Recorded {
  from: Speaker;
  frame: { t: string } & Record<string, unknown>;
}

type FrameKind = "hostControlFrame" | "fleetFrame" | "hostFrame" | "deviceFrame" | "fact";

const SCHEMA_OF: Record<Speaker, FrameKind> = {
  "host-control": "hostControlFrame",
  fleet: "fleetFrame",
  host: "hostFrame",
  device: "deviceFrame",
};

/** By version, the first at the beginning; the current one is not released yet. */
const RELEASED: readonly { frames: unknown; schemas: unknown }[] = [
  { frames: firstFrames, schemas: firstSchemas },
];

function releasedOf(version: number): { frames: unknown; schemas: unknown } {
  const released = RELEASED[version - 1];
  if (released === undefined) throw new Error(`version ${version} was never released`);
  return released;
}

export function recordedFrames(version: number): Recorded[] {
  return releasedOf(version).frames as Recorded[];
}

/** Says what a peer of that version could not read; null when it understands all of it. */
export function readerOf(version: number): (from: Speaker, frame: object) => string | null {
  const schemas = releasedOf(version).schemas as Record<FrameKind, Schema>;
  const validators = new Map<FrameKind, Validator>();
  const complaint = (kind: FrameKind, value: unknown): string | null => {
    const validator = validators.get(kind) ?? new Validator(schemas[kind], "2020-12", false);
    validators.set(kind, validator);
    const { valid } = validator.validate(value);
    return valid ? null : `version ${version} cannot read ${JSON.stringify(value).slice(0, 200)}`;
  };
  return (from, frame) => {
    const unread = complaint(SCHEMA_OF[from], frame);
    if (unread !== null || !("facts" in frame) || !Array.isArray(frame.facts)) return unread;
    return frame.facts.map((fact) => complaint("fact", fact)).find((one) => one !== null) ?? null;
  };
}
