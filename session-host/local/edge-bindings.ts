/**
 * Names that the local entry around the Worker shares with the process that runs it and with the front before it.
 */
export const CLIENT_ADDRESS_HEADER = "cf-connecting-ip";
export const FRONT_SECRET_HEADER = "x-local-front";

/** Bindings of the local entry: the address of callers at the Worker's own socket, and what the front proves. */
export const SOCKET_ADDRESS_BINDING = "LOCAL_SOCKET_ADDRESS";
export const FRONT_SECRET_BINDING = "LOCAL_FRONT_SECRET";
