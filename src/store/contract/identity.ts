/** What is made once per store. */
export interface IdentityReader {
  /** A UUID of 36 characters: the namespace of every id that is issued here. */
  namespace(): Promise<string>;
  /** 32 random bytes as hex: signs cursors, so that they survive restarts and restored backups. */
  cursorSecret(): Promise<string>;
}
