/**
 * What may be asked of the Tombstones object over RPC. One object remembers which messages a client was refused while
 * nobody could say whether D1 had accepted them, and neither D1 nor the device could be told. Knows no message.
 */
export interface Tombstone {
  id: number;
  /** Of the request that drew the id: another message may have it as well. */
  nonce: string;
}

export interface TombstonesRpc {
  /** These were refused: should D1 have accepted them, they are never sent. Throws when there is no more room. */
  bury(tombstones: Tombstone[]): Promise<void>;
  /** Those of the messages that were refused. */
  find(messages: Tombstone[]): Promise<number[]>;
}
