/**
 * Bundles the Worker for workerd, as a deploy would, in memory. Around the Worker's own entry it puts a few lines
 * that do what the platform does in front of it: they set the client's address, so that no caller can claim one.
 */
import { build } from "esbuild";
import {
  CLIENT_ADDRESS_HEADER,
  FRONT_SECRET_BINDING,
  FRONT_SECRET_HEADER,
  SOCKET_ADDRESS_BINDING,
} from "./edge-bindings.ts";

const entryAround = (entryPath: string): string => `
  import worker from ${JSON.stringify(entryPath)};
  export * from ${JSON.stringify(entryPath)};
  export default {
    ...worker,
    fetch(request, env, context) {
      const headers = new Headers(request.headers);
      if (headers.get("${FRONT_SECRET_HEADER}") !== env.${FRONT_SECRET_BINDING}) {
        headers.set("${CLIENT_ADDRESS_HEADER}", env.${SOCKET_ADDRESS_BINDING});
      }
      headers.delete("${FRONT_SECRET_HEADER}");
      return worker.fetch(new Request(request, { headers }), env, context);
    },
  };`;

/** The bundle as one ES module; throws esbuild's message when the source does not build. */
export async function bundleWorker(projectPath: string, entryPath: string): Promise<string> {
  const result = await build({
    stdin: {
      contents: entryAround(entryPath),
      resolveDir: projectPath,
      sourcefile: "local-entry.js",
    },
    absWorkingDir: projectPath,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    keepNames: false,
    logLevel: "silent",
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error("the bundle is empty");
  return file.text;
}
