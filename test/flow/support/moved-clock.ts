/**
 * A clock of the Worker's that a test moves forward: what reads the time sees the moved one, and alarms, which ring by
 * the runtime's own clock, are set so much earlier. Forward only; a restart of the Worker is back at the real time.
 */
let aheadMs = 0;

const realNow = Date.now.bind(Date);
Date.now = () => realNow() + aheadMs;

type ClockMoved = { clockMoved(movedMs: number): Promise<void> };

export function clockAheadMs(): number {
  return aheadMs;
}

/** Alarms ring by the runtime's clock, which nobody moves; the objects mean the moved one. Answers how to move one. */
export function ringByMovedClock(
  storage: DurableObjectStorage,
): (movedMs: number) => Promise<void> {
  const setAlarm = storage.setAlarm.bind(storage);
  const getAlarm = storage.getAlarm.bind(storage);
  storage.setAlarm = (at, options) => setAlarm(Number(at) - aheadMs, options);
  storage.getAlarm = async (options) => {
    const realMs = await getAlarm(options);
    return realMs === null ? null : realMs + aheadMs;
  };
  return async (movedMs) => {
    const realMs = await getAlarm();
    if (realMs !== null) await setAlarm(realMs - movedMs);
  };
}

/** Life signs of sockets are noted by the runtime's clock as well; without this a moved clock silences every host. */
export function hearByMovedClock(context: DurableObjectState): void {
  const heardAt = context.getWebSocketAutoResponseTimestamp.bind(context);
  context.getWebSocketAutoResponseTimestamp = (socket) => {
    const realTime = heardAt(socket);
    return realTime === null ? null : new Date(realTime.getTime() + aheadMs);
  };
}

/** Moves the clock and the alarms of every object whose class has `clockMoved`. */
export async function moveClock(env: Cloudflare.Env, movedMs: number): Promise<void> {
  aheadMs += movedMs;
  const [devices, endpoints] = await env.DB.batch<{ id: string }>([
    env.DB.prepare("SELECT id FROM devices"),
    env.DB.prepare("SELECT id FROM endpoints WHERE deleted_ms IS NULL"),
  ]);
  const stubs: unknown[] = [
    env.FLEET.get(env.FLEET.idFromName("fleet")),
    env.RESTORE.get(env.RESTORE.idFromName("restore")),
    ...(devices?.results ?? []).map(({ id }) => env.DEVICES.get(env.DEVICES.idFromName(id))),
    ...(endpoints?.results ?? []).map(({ id }) => env.ENDPOINTS.get(env.ENDPOINTS.idFromName(id))),
  ];
  await Promise.all(stubs.map((stub) => (stub as ClockMoved).clockMoved(movedMs)));
}
