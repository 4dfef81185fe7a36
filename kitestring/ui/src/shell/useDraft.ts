/**
 * The values of a form that outlive Back, a reload and the menu: kept in this tab (sessionStorage) until they are saved.
 *
 *     const draft = useDraft('workspace', { name: workspace.name }, keepAll);
 *     <DraftNote draft={draft} />
 *     <TextInput value={draft.value.name} onChange={(event) => draft.set({ name: event.currentTarget.value })} />
 *     <LeaveGuard draft={draft} />
 *     await save(draft.value); draft.clear(); await navigate(…);
 *
 * Where somebody else saves meanwhile, the user's changes are laid over what is saved now (`rebase`); `DraftNote` says so.
 *
 * Secrets are never kept: `keep` gives the values without them. For the form of a connector it is
 * `(values) => withoutSecrets(values, schema)`; `keepAll` where a form has none.
 */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';

import { rebase, same } from './rebase';

const PREFIX = 'kitestring.draft.';

export interface Draft<T> {
  value: T;
  set: (value: T | ((previous: T) => T)) => void;
  /** Whether the values differ from those that are saved. */
  isChanged: boolean;
  /** Whether they were entered earlier, and came back. */
  isRestored: boolean;
  /** Whether somebody else saved other values since they were entered. */
  isOvertaken: boolean;
  /** The paths that both changed, to different values. */
  collisions: string[];
  /** Whether leaving would need a question; false at once after `clear`. */
  needsGuard: () => boolean;
  /** Forget what was entered: it has been saved. The form keeps what it shows. */
  clear: () => void;
  /** Go back to the saved values. */
  reset: () => void;
}

interface Stored {
  /** What was saved as the values were entered, and the values; both without what is not kept. */
  base: unknown;
  value: unknown;
}

interface Entered<T> {
  name: string;
  base: T;
  value: T;
  /** Somebody else had saved before the last change of the user. */
  overtaken: boolean;
  /** What was entered is saved: what comes from the server is this form's own. */
  cleared: boolean;
}

/** A form without secrets. */
export const keepAll = (value: unknown): unknown => value;

export function useDraft<T>(name: string, saved: T, keep: (value: T) => unknown): Draft<T> {
  const digest = JSON.stringify(saved);
  const begin = (): Entered<T> => {
    const stored = readDraft(sessionStorage, name, saved, keep);
    return stored
      ? { name, base: saved, value: stored.value, overtaken: stored.overtaken, cleared: false }
      : { name, base: saved, value: saved, overtaken: false, cleared: false };
  };
  const [state, setState] = useState(begin);
  // Another object has a draft of its own.
  const entered = useMemo(() => (state.name === name ? state : begin()), [state, name]);
  const restored = useMemo(() => readDraft(sessionStorage, name, saved, keep) !== null, [name]);
  const { value, overtaken, collisions } = useMemo(() => present(entered, saved), [entered, digest]);
  const isChanged = useMemo(() => !same(value, saved), [value, digest]);
  const guarded = useRef(isChanged);
  guarded.current = isChanged && !entered.cleared;

  const set = useCallback(
    (next: T | ((previous: T) => T)) =>
      setState({ name, base: saved, value: typeof next === 'function' ? (next as (previous: T) => T)(value) : next, overtaken, cleared: false }),
    [name, digest, value, overtaken],
  );
  useEffect(() => {
    if (guarded.current) writeDraft(sessionStorage, name, keep(saved), keep(value));
    else sessionStorage.removeItem(PREFIX + name);
    // `keep` is often another function on each render.
  }, [name, digest, value]);

  return {
    value,
    set,
    isChanged,
    isRestored: restored,
    isOvertaken: overtaken && isChanged,
    collisions,
    needsGuard: () => guarded.current,
    clear: () => {
      guarded.current = false;
      sessionStorage.removeItem(PREFIX + name);
      setState((current) => ({ ...current, cleared: true }));
    },
    reset: () => {
      guarded.current = false;
      sessionStorage.removeItem(PREFIX + name);
      setState({ name, base: saved, value: saved, overtaken: false, cleared: false });
    },
  };
}

/** What a form shows of what was entered, as the saved values are now. */
function present<T>(entered: Entered<T>, saved: T): { value: T; overtaken: boolean; collisions: string[] } {
  if (same(entered.base, saved)) return { value: entered.value, overtaken: entered.overtaken, collisions: [] };
  if (entered.cleared || same(entered.base, entered.value)) return { value: saved, overtaken: false, collisions: [] };
  return { ...rebase(entered.base, entered.value, saved), overtaken: true };
}

type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem'>;

/** What was entered, laid over the saved values; null where there is nothing. */
export function readDraft<T>(storage: Storage, name: string, saved: T, keep: (value: T) => unknown): { value: T; overtaken: boolean } | null {
  try {
    const stored = JSON.parse(storage.getItem(PREFIX + name) ?? 'null') as Stored | null;
    if (stored === null || !('base' in stored)) return null;
    const kept = keep(saved);
    const { value } = rebase(stored.base, stored.value, kept);
    return { value: withRest(saved, kept, value) as T, overtaken: !same(stored.base, kept) };
  } catch {
    return null;
  }
}

export function writeDraft(storage: Storage, name: string, base: unknown, value: unknown): void {
  try {
    storage.setItem(PREFIX + name, JSON.stringify({ base, value } satisfies Stored));
  } catch {
    // The storage is full or switched off: the form works without.
  }
}

/** Values with the saved ones for what was not kept. */
function withRest(saved: unknown, kept: unknown, value: unknown): unknown {
  if (!isObject(saved) || !isObject(value)) return value;
  const rest = Object.entries(saved).filter(([key]) => !(isObject(kept) && key in kept) && !(key in value));
  const inner = Object.entries(value).map(([key, item]) => [key, withRest(saved[key], isObject(kept) ? kept[key] : undefined, item)]);
  return { ...Object.fromEntries(rest), ...Object.fromEntries(inner) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
