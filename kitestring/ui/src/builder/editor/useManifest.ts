/** A manifest in a page: its text, its document, its history and its defects. */
import { useEffect, useMemo, useState } from 'react';

import { api, OWN } from '../../api/client';
import type { ManifestDefects } from '../../api/schema.gen';
import type { Splice } from '../document/document';
import { ManifestStore, type ManifestSnapshot } from './manifestStore';

export type { Defect } from './manifestStore';

export interface Manifest extends ManifestSnapshot {
  /** Apply edits of this `doc`: `apply(doc.set(path, value))`. */
  apply: (splices: readonly Splice[]) => void;
  /** Replace the whole text, as one step of the history. */
  replace: ManifestStore['replace'];
  undo: () => void;
  redo: () => void;
  /** Show a place of the text in the editor. */
  reveal: ManifestStore['reveal'];
  store: ManifestStore;
}

/** How long a text rests before the server validates it. */
const REST_MS = 700;

/**
 * `initialText` counts at the first render. With a workspace, the server validates the text each time that it rests;
 * `configuration` is then what its templates see.
 */
export function useManifest(initialText: string, options: { workspaceId?: string; configuration?: Record<string, unknown> } = {}): Manifest {
  const [store] = useState(() => new ManifestStore(initialText));
  // Not by `useSyncExternalStore`, which draws at once what is typed: a page of hundreds of streams takes its time.
  const [snapshot, setSnapshot] = useState(store.snapshot);
  useEffect(() => {
    setSnapshot(store.snapshot());
    return store.subscribe(() => setSnapshot(store.snapshot()));
  }, [store]);
  const { text, broken, pending } = snapshot;
  const { workspaceId, configuration } = options;

  useEffect(() => {
    if (!workspaceId || broken || pending) return;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const body = { workspaceId, manifest: text, ...(configuration && { configuration }) };
        const { defects } = await api.ask<ManifestDefects>(`${OWN}/builder/validate`, body, controller.signal);
        store.setDefects(text, defects);
      } catch {
        // Aborted, or the server cannot be reached: the banner of the page says that. The last defects stay.
      }
    }, REST_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [store, workspaceId, configuration, text, broken, pending]);

  return useMemo(
    () => ({ ...snapshot, apply: (splices: readonly Splice[]) => store.apply(splices, snapshot.doc), replace: store.replace, undo: store.undo, redo: store.redo, reveal: store.reveal, store }),
    [snapshot, store],
  );
}
