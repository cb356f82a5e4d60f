/**
 * Where the parts of a local start listen and how they find each other. The session host and this machine reach
 * the Worker over loopback, whatever HOST says; port 0 is replaced by a free one, so that a part that is started
 * again comes back where it was.
 */
import { createServer } from "node:net";
import { StartFailure } from "./start-failure.ts";
import type { StartOptions } from "./options.ts";

export interface Address {
  host: string;
  port: number;
}

export interface Addresses {
  /** The Worker's own socket, on loopback. */
  socket: Address;
  /** Set when the Worker must be reached from elsewhere as well. */
  front: Address | null;
  simulator: Address | null;
}

/** Fails with one sentence when a port is taken. */
export async function chooseAddresses(options: StartOptions): Promise<Addresses> {
  const wanted = { host: options.host, port: options.port };
  const served = await claim(wanted, "PORT");
  const loopback = isLoopback(options.host);
  const simulator =
    options.whatsApp.kind === "simulator"
      ? await claim(
          { host: simulatorHost(options.host), port: options.simulatorPort },
          "SIMULATOR_PORT",
        )
      : null;
  if (simulator !== null && simulator.port === served.port) {
    throw new StartFailure(`PORT and SIMULATOR_PORT are both ${served.port}; they must differ.`);
  }
  if (loopback)
    return { socket: { ...served, host: bindable(served.host) }, front: null, simulator };
  return { socket: await claim({ host: "127.0.0.1", port: 0 }, "PORT"), front: served, simulator };
}

/** The URL that this machine uses. */
export function urlOf(address: Address, scheme: "http" | "ws" = "http"): string {
  return `${scheme}://${reachable(address.host)}:${address.port}`;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The simulator has no login: beyond this machine it is served only when HOST says "everywhere". */
function simulatorHost(host: string): string {
  return isLoopback(host) || isWildcard(host) ? bindable(host) : "127.0.0.1";
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function bindable(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}

function reachable(host: string): string {
  if (isWildcard(host)) return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

/** Binds and lets go again: a free port for port 0, a sentence for one that is taken. */
async function claim(address: Address, variable: string): Promise<Address> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address.port, bindable(address.host), resolve);
    });
  } catch (error) {
    throw new StartFailure(bindSentence(address, variable, (error as NodeJS.ErrnoException).code));
  }
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return {
    host: address.host,
    port: typeof bound === "object" && bound !== null ? bound.port : address.port,
  };
}

function bindSentence(address: Address, variable: string, code: string | undefined): string {
  switch (code) {
    case "EADDRINUSE":
      return `Port ${address.port} is in use; stop what uses it, or choose another: ${variable}=${address.port + 100} npm start`;
    case "EACCES":
      return `Port ${address.port} may not be opened by this user; choose another: ${variable}=${address.port + 8000} npm start`;
    default:
      return `HOST ${address.host} is no address of this machine (${code ?? "unknown error"}).`;
  }
}
