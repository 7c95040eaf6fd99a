import { useSyncExternalStore } from 'react';

import type { Attachment } from './multipart';

/** What the upload panel holds: it outlives the panel, which GraphiQL takes down whenever it is closed. */
export interface Outbox {
  attachments: readonly Attachment[];
  sent: number | null; // of 1; null while nothing is on its way
}

let outbox: Outbox = { attachments: [], sent: null };
let leaving: readonly Attachment[] = [];
const watchers = new Set<() => void>();

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function change(part: Partial<Outbox>): void {
  outbox = { ...outbox, ...part };
  watchers.forEach((watcher) => watcher());
}

export function useOutbox(): Outbox {
  return useSyncExternalStore(watch, () => outbox);
}

/** Run GraphiQL's operation with the attachments: its `run` calls the fetcher before it first waits for anything. */
export function sendWith(run: () => void): void {
  leaving = outbox.attachments;
  run();
  leaving = [];
}

export function takeLeaving(): readonly Attachment[] {
  return leaving;
}
