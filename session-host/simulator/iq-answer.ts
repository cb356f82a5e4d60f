/** What a query handler returns: the content of a result, a refusal, or undefined for "not mine". */

import { element, type Stanza } from "./stanza.ts";

export type IqAnswer =
  | { content: Stanza[] | undefined; afterwards?: () => void }
  | { refuse: number; text: string }
  | undefined;

/** One child with attributes, the commonest answer. */
export function one(
  tag: string,
  attrs: Record<string, string> = {},
  content?: Stanza[] | string | Uint8Array,
): { content: Stanza[] } {
  return { content: [element(tag, attrs, content)] };
}
