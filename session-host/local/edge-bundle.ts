/**
 * Bundles the Worker for workerd, as a deploy would, in memory. Around the Worker's own entry it puts a few lines
 * that do what the platform does in front of it: they set the client's address, so that no caller can claim one.
 */
import { build } from "esbuild";

export const CLIENT_ADDRESS_HEADER = "cf-connecting-ip";
export const FRONT_SECRET_HEADER = "x-local-front";

/** Bindings of the local entry: the address of callers at the Worker's own socket, and what the front proves. */
export const SOCKET_ADDRESS_BINDING = "LOCAL_SOCKET_ADDRESS";
export const FRONT_SECRET_BINDING = "LOCAL_FRONT_SECRET";

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
