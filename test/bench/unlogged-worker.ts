/** The Worker under test without its request log: the rest is the real one. */
import { RequestLog } from "../../src/gateway/request-log.ts";
import worker from "../../src/index.ts";

export { Device, Endpoint, Fleet } from "../../src/index.ts";

RequestLog.prototype.add = () => undefined;

export default worker;
