import { expect, test } from 'vitest';

import type { ConnectionUsage } from '../api/schema.gen';
import { csvOf, lastMonths, monthTotals, rowsOf, valueText } from './usage';

const entry = (changes: Partial<ConnectionUsage>): ConnectionUsage => ({
  connectionId: 'a',
  workspaceId: 'w',
  name: 'Tickets',
  deleted: false,
  period: '2026-11',
  jobs: 1,
  failed: 0,
  read: 0,
  written: 0,
  bytes: 0,
  chunks: 0,
  tokens: 0,
  unpricedTokens: 0,
  costUsd: 0,
  ...changes,
});

test('the last months end with this one, over the turn of a year', () => {
  expect(lastMonths(3, Date.UTC(2026, 0, 31))).toEqual(['2025-11', '2025-12', '2026-01']);
});

test('a row has the months of a connection, and the highest total is first', () => {
  const usage = [entry({ written: 5, period: '2026-10' }), entry({ written: 7 }), entry({ connectionId: 'b', written: 90 }), entry({ period: '2020-01', written: 1 })];
  const months = ['2026-10', '2026-11'];
  const rows = rowsOf(usage, months, 'written');
  expect(rows.map((row) => [row.connectionId, row.values, row.total])).toEqual([
    ['b', [0, 90], 90],
    ['a', [5, 7], 12],
  ]);
  expect(monthTotals(rows, months)).toEqual([5, 97]);
});

test('small costs keep the digits that say something', () => {
  expect(valueText('costUsd', 0.0123)).toBe('$0.0123');
  expect(valueText('costUsd', 12.3)).toBe('$12.30');
});

test('the file quotes what needs it, and no name becomes a formula', () => {
  const lines = csvOf([entry({ name: '=HYPERLINK("x"),1' })]).split('\r\n');
  expect(lines[0]).toContain('period,connectionId,name');
  expect(lines[1]).toContain(`"'=HYPERLINK(""x""),1"`);
  expect(csvOf([entry({ name: null })])).toContain('2026-11,a,,1');
});
