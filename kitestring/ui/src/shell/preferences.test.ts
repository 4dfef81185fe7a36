import { afterEach, expect, test, vi } from 'vitest';

import { exact } from './format';
import { changePreferences, parsePreferences } from './preferences';

afterEach(() => vi.unstubAllGlobals());

test('what a browser stored is read, and what is missing or unknown has its default', () => {
  expect(parsePreferences(null)).toEqual({ density: 'comfortable', zone: 'local' });
  expect(parsePreferences('{"density":"compact"}')).toEqual({ density: 'compact', zone: 'local' });
  expect(parsePreferences('{"density":"tiny","zone":"utc"}')).toEqual({ density: 'comfortable', zone: 'utc' });
  for (const text of ['no JSON', '7', 'null']) expect(parsePreferences(text).zone).toBe('local');
});

test('an exact time names its zone', () => {
  vi.stubGlobal('localStorage', { setItem: () => undefined });
  vi.stubGlobal('document', { documentElement: { dataset: {} } });
  changePreferences({ zone: 'utc' });
  expect(exact(Date.UTC(2026, 10, 29, 14, 5, 9))).toBe('29 Nov 2026, 14:05:09 UTC');
});
