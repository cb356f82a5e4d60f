/**
 * How the rest of the edge reaches an object of which there is one for the whole gateway: by the name of its class of
 * work, through the seam, with a deadline. Holds no rules.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";

type Ask<O extends Rpc.DurableObjectBranded> = <T>(
  method: string,
  ask: (object: DurableObjectStub<O>) => Promise<T>,
) => Promise<T>;

/** `name` names the object and, before the method, the call at the seam. */
export function oneObject<O extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<O>,
  name: string,
  timeoutMs: number,
): Ask<O> {
  return (method, ask) =>
    withDeadline(
      cross("object", `${name}.${method}`, async () =>
        ask(namespace.get(namespace.idFromName(name))),
      ),
      timeoutMs,
    );
}
