import { expect, test } from 'vitest';

import type { ConnectionHistory, JobsOfDay } from '../api/schema.gen';
import { daysOf, freshnessOf } from './history';

const HOUR = 3_600_000;
const now = new Date(2026, 2, 20, 15).getTime();
const midnight = (day: number) => new Date(2026, 2, day).getTime();
const row = (day: number, status: JobsOfDay['status'], jobs: number, records: number): JobsOfDay => ({ atMs: midnight(day), status, jobs, records, lastJobId: 1 });

test('a day has its jobs, the worst first, and days without any are there', () => {
  const days = daysOf([row(20, 'succeeded', 3, 30), row(20, 'failed', 1, 0), row(18, 'succeeded', 1, 5)], now);
  expect(days).toHaveLength(30);
  expect(days.at(-1)).toMatchObject({ jobs: 4, records: 30 });
  expect(days.at(-1)!.parts.map((part) => part.status)).toEqual(['failed', 'succeeded']);
  expect([days.at(-2)!.jobs, days.at(-3)!.records]).toEqual([0, 5]);
});

test('data is late once two runs are missed, and never where nothing is scheduled', () => {
  const history = (freshAtMs: number | null, intervalMs: number | null): ConnectionHistory => ({ days: [], jobs: [], changes: [], freshAtMs, intervalMs });
  expect(freshnessOf(history(null, HOUR), now)).toBe('none');
  expect(freshnessOf(history(now - HOUR, HOUR), now)).toBe('fresh');
  expect(freshnessOf(history(now - 3 * HOUR, HOUR), now)).toBe('late');
  expect(freshnessOf(history(now - 300 * HOUR, null), now)).toBe('fresh');
});
