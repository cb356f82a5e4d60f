/** The project's own TypeScript files as text, and what each of them imports. Judges nothing. */
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";

const ROOT = new URL("../../", import.meta.url).pathname;

export interface Source {
  /** From the project's root, with slashes. */
  path: string;
  text: string;
}

/** Every file that is written by hand, without what tools make. */
export function readSources(folders: readonly string[]): Source[] {
  return folders
    .flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT }))
    .filter((path) => !path.includes("node_modules"))
    .toSorted()
    .map((path) => ({ path, text: readFileSync(`${ROOT}${path}`, "utf8") }));
}

/** The text without comments, so that a comment may name what the code may not. */
export function codeOf({ text }: Source): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

/** What a file imports or re-exports: paths from the root for our own files, names for packages. */
export function importsOf(source: Source): string[] {
  const code = codeOf(source);
  const patterns = [
    /^\s*(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"/gm,
    /^\s*import\s*"([^"]+)"/gm,
    /\bimport\s*\(\s*"([^"]+)"/g,
  ];
  const specifiers = patterns.flatMap((pattern) =>
    Array.from(code.matchAll(pattern), (match) => match[1] ?? ""),
  );
  return specifiers.map((specifier) =>
    specifier.startsWith(".")
      ? posix.join(posix.dirname(source.path), specifier)
      : packageOf(specifier),
  );
}

function packageOf(specifier: string): string {
  if (specifier.includes(":")) return specifier;
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? specifier);
}
