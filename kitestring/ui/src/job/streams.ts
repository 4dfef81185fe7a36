/** The streams of an attempt as the page lists them: what needs attention first. */
import type { AttemptRead, StreamResult } from '../api/schema.gen';

export interface StreamRow {
  key: string;
  result: StreamResult;
}

const RANK: Record<string, number> = { failed: 0, suspicious: 1, reading: 2, waiting: 3, cancelled: 4, succeeded: 5 };

export function streamsOf(attempt: AttemptRead): Record<string, StreamResult> {
  return attempt.streams ?? attempt.progress?.streams ?? {};
}

/** Failed first, then suspicious, running, waiting, the others; the source's order within each. */
export function ordered(streams: Record<string, StreamResult>): StreamRow[] {
  return Object.entries(streams)
    .map(([key, result]) => ({ key, result }))
    .sort((a, b) => (RANK[a.result.status] ?? 4) - (RANK[b.result.status] ?? 4));
}

/** How many streams have each status, in the order of the list. */
export function statusCounts(rows: StreamRow[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { result } of rows) counts.set(result.status, (counts.get(result.status) ?? 0) + 1);
  return [...counts];
}

/** The sums of all streams as one result. */
export function sums(rows: StreamRow[]): StreamResult {
  const total: StreamResult = { status: '' };
  const figures: Record<string, number> = {};
  for (const { result } of rows) {
    for (const name of ['read', 'written', 'unchanged', 'deleted', 'rejected', 'superseded', 'filtered', 'bytes'] as const) {
      total[name] = (total[name] ?? 0) + (result[name] ?? 0);
    }
    for (const [name, value] of Object.entries(result.figures ?? {})) figures[name] = (figures[name] ?? 0) + value;
  }
  return { ...total, figures };
}
