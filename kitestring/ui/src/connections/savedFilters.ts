/**
 * Filters that a user has saved, with a name each. They are kept in this browser, for the user and the workspace: a filter
 * is an address, which bookmarks and messages share already, and a server without sign-in has no user to keep them for.
 */
import { useCallback, useSyncExternalStore } from 'react';

import type { Filter } from './overviews';

export interface SavedFilter {
  name: string;
  filter: Filter;
}

const listeners = new Set<() => void>();
const cache = new Map<string, { text: string | null; filters: SavedFilter[] }>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('storage', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('storage', listener);
  };
}

/** The saved filters of a text of the storage; none of what somebody else has written there. */
export function parse(text: string | null): SavedFilter[] {
  try {
    const values: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(values) ? values.filter((value): value is SavedFilter => typeof value?.name === 'string' && typeof value.filter === 'object') : [];
  } catch {
    return [];
  }
}

function read(key: string): SavedFilter[] {
  const text = localStorage.getItem(key);
  const before = cache.get(key);
  if (before && before.text === text) return before.filters;
  const filters = parse(text);
  cache.set(key, { text, filters });
  return filters;
}

export function useSavedFilters(userId: string, workspaceId: string) {
  const key = `kitestring.filters.${userId}.${workspaceId}`;
  const filters = useSyncExternalStore(subscribe, () => read(key));
  const write = useCallback(
    (changed: SavedFilter[]) => {
      localStorage.setItem(key, JSON.stringify(changed));
      listeners.forEach((listener) => listener());
    },
    [key],
  );
  return {
    filters,
    /** Save a filter; another of this name is replaced. */
    save: (name: string, filter: Filter) => write([...read(key).filter((saved) => saved.name !== name), { name, filter }]),
    remove: (name: string) => write(read(key).filter((saved) => saved.name !== name)),
  };
}
