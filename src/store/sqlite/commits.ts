/** Commits of this thread, whatever the store: what a thread has done itself its readers must see at once. */
let commits = 0;

export function noteCommit(): void {
  commits += 1;
}

export function ownCommits(): number {
  return commits;
}
