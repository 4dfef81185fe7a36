import { expect, test } from 'vitest';

import { freshnessOf } from './freshness';

const NOW = Date.UTC(2026, 10, 29, 12);
const connection = { freshAtMs: NOW - 12 * 60_000 - 30_000, nextRunAtMs: NOW - 6 * 60_000, status: 'active' };

test('data is as old as the last sync that succeeded, to the minute', () => {
  expect(freshnessOf(connection, false, NOW).age).toBe('12 min old');
  expect(freshnessOf({ ...connection, freshAtMs: NOW - 5_000 }, false, NOW).age).toBe('under a minute old');
  expect(freshnessOf({ ...connection, freshAtMs: null }, false, NOW).age).toBe('');
});

test('a sync is late five minutes after its time, unless it runs or the connection is paused', () => {
  expect(freshnessOf(connection, false, NOW).late).toBe(true);
  expect(freshnessOf(connection, true, NOW).late).toBe(false);
  expect(freshnessOf({ ...connection, status: 'inactive' }, false, NOW).late).toBe(false);
  expect(freshnessOf({ ...connection, nextRunAtMs: NOW - 60_000 }, false, NOW).late).toBe(false);
  expect(freshnessOf({ ...connection, nextRunAtMs: null }, false, NOW).late).toBe(false);
});
