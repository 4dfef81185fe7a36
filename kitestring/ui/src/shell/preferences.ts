/** How this browser shows the interface: the density of its pages, and the zone of its times. */
import { useSyncExternalStore } from 'react';

export interface Preferences {
  density: 'comfortable' | 'compact';
  zone: 'local' | 'utc';
}

const KEY = 'kitestring.preferences';
const DEFAULTS: Preferences = { density: 'comfortable', zone: 'local' };
const listeners = new Set<() => void>();

let preferences = parsePreferences(typeof localStorage === 'undefined' ? null : localStorage.getItem(KEY));

/** What was stored, with the defaults for what is missing or unknown. */
export function parsePreferences(text: string | null): Preferences {
  let stored: unknown = null;
  try {
    stored = JSON.parse(text ?? 'null');
  } catch {
    // Written by something else: the defaults.
  }
  const { density, zone } = (typeof stored === 'object' && stored !== null ? stored : {}) as Partial<Preferences>;
  return {
    density: density === 'compact' ? 'compact' : DEFAULTS.density,
    zone: zone === 'utc' ? 'utc' : DEFAULTS.zone,
  };
}

export function currentPreferences(): Preferences {
  return preferences;
}

export function changePreferences(changes: Partial<Preferences>): void {
  preferences = { ...preferences, ...changes };
  localStorage.setItem(KEY, JSON.stringify(preferences));
  applyDensity();
  listeners.forEach((notify) => notify());
}

/** Tell the styles, which depend on the density. */
export function applyDensity(): void {
  document.documentElement.dataset.density = preferences.density;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(subscribe, currentPreferences);
}
