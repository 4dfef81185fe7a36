/** Usage by connection and month, summed up for the table, the bars and the file. */
import { queryOptions } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { ConnectionUsage, UsageRead } from '../api/schema.gen';
import { count, short } from '../shell/format';
import { currentLanguage } from '../text';

export const MEASURES = ['written', 'chunks', 'tokens', 'costUsd'] as const;
export type Measure = (typeof MEASURES)[number];

/** The months up to this one, the oldest first: `2026-06`, … */
export function lastMonths(number: number, nowMs: number): string[] {
  const now = new Date(nowMs);
  return Array.from({ length: number }, (_, back) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - (number - 1 - back), 1)).toISOString().slice(0, 7),
  );
}

export const usageQuery = (workspaceId: string | undefined, months: string[]) =>
  queryOptions({
    queryKey: ['usage', workspaceId, months],
    enabled: workspaceId !== undefined,
    queryFn: async ({ signal }) => {
      const query = { workspaceIds: workspaceId, from: `${months[0]}-01`, to: `${months.at(-1)}-31`, by: 'month' };
      return (await api.get<UsageRead>(`${OWN}/usage`, query, signal)).data;
    },
    staleTime: 60_000,
  });

export interface UsageRow {
  connectionId: string;
  /** Null where the connection is gone. */
  name: string | null;
  deleted: boolean;
  /** The measure in each month, in the order of the months. */
  values: number[];
  total: number;
}

/** One row for each connection, the highest total first. */
export function rowsOf(usage: ConnectionUsage[], months: string[], measure: Measure): UsageRow[] {
  const rows = new Map<string, UsageRow>();
  for (const entry of usage) {
    const place = months.indexOf(entry.period);
    if (place < 0) continue;
    const { connectionId, name, deleted } = entry;
    const row = rows.get(connectionId) ?? { connectionId, name, deleted, values: months.map(() => 0), total: 0 };
    row.values[place] = (row.values[place] ?? 0) + entry[measure];
    row.total += entry[measure];
    rows.set(connectionId, row);
  }
  return [...rows.values()].sort((a, b) => b.total - a.total || (a.name ?? '').localeCompare(b.name ?? ''));
}

/** The measure of all connections in each month. */
export function monthTotals(rows: UsageRow[], months: string[]): number[] {
  return months.map((_, place) => rows.reduce((sum, row) => sum + (row.values[place] ?? 0), 0));
}

export function valueText(measure: Measure, value: number, brief = false): string {
  if (measure !== 'costUsd') return brief ? short(value) : count(value);
  const digits = value > 0 && value < 1 ? 4 : 2;
  return new Intl.NumberFormat(currentLanguage(), { style: 'currency', currency: 'USD', maximumFractionDigits: digits }).format(value);
}

/** “Nov 2026”. */
export function monthText(month: string): string {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString(currentLanguage(), { month: 'short', year: 'numeric', timeZone: 'UTC' });
}

const COLUMNS = ['period', 'connectionId', 'name', 'jobs', 'failed', 'read', 'written', 'bytes', 'chunks', 'tokens', 'unpricedTokens', 'costUsd'] as const;

/** All figures as CSV (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe before it. */
export function csvOf(usage: ConnectionUsage[]): string {
  const cell = (value: string | number | null) => {
    const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? '');
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [COLUMNS.join(','), ...usage.map((entry) => COLUMNS.map((column) => cell(entry[column])).join(','))].join('\r\n') + '\r\n';
}
