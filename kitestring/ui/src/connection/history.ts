/** The history of a connection as its overview shows it: days, age, and what happened in which order. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { ConnectionChange, ConnectionHistory, JobsOfDay, JobSummary } from '../api/schema.gen';

export const DAYS = 30;
const LATE_INTERVALS = 2;

/** `moment` changes with the newest job, so that its end is seen at once. */
export function historyQuery(connectionId: string, moment: string) {
  return queryOptions({
    queryKey: ['connection', connectionId, 'history', moment],
    queryFn: ({ signal }) =>
      api.get<ConnectionHistory>(`${OWN}/connections/${connectionId}/history`, { offsetMin: -new Date().getTimezoneOffset() }, signal),
    placeholderData: keepPreviousData,
    // What others change meanwhile is shown too.
    refetchInterval: 10_000,
  });
}

export interface Day {
  atMs: number;
  jobs: number;
  records: number;
  /** By status, the worst first. */
  parts: JobsOfDay[];
}

/** From the worst to the best: what went wrong is never hidden below what went well. */
const ORDER = ['failed', 'suspicious', 'cancelled', 'incomplete', 'running', 'pending', 'succeeded'];

/** The last 30 days, the oldest first, those without jobs too. */
export function daysOf(rows: JobsOfDay[], nowMs: number): Day[] {
  const today = new Date(nowMs);
  return Array.from({ length: DAYS }, (_, n) => {
    const begin = new Date(today.getFullYear(), today.getMonth(), today.getDate() - DAYS + 1 + n);
    const end = new Date(begin.getFullYear(), begin.getMonth(), begin.getDate() + 1);
    // A day in which the clocks change begins an hour off for the server.
    const parts = rows.filter((row) => row.atMs + 7_200_000 >= begin.getTime() && row.atMs + 7_200_000 < end.getTime());
    parts.sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));
    return {
      atMs: begin.getTime(),
      parts,
      jobs: parts.reduce((sum, part) => sum + part.jobs, 0),
      records: parts.reduce((sum, part) => sum + part.records, 0),
    };
  });
}

export type Freshness = 'none' | 'fresh' | 'late';

/** Whether the data is as new as the schedule promises. A sync may take its time: late is what two runs missed. */
export function freshnessOf(history: ConnectionHistory, nowMs: number): Freshness {
  if (history.freshAtMs === null) return 'none';
  return history.intervalMs !== null && nowMs - history.freshAtMs > LATE_INTERVALS * history.intervalMs ? 'late' : 'fresh';
}

export type Event = { atMs: number; job: JobSummary } | { atMs: number; change: ConnectionChange };

/** Jobs and changes together, the newest first. */
export function eventsOf(history: ConnectionHistory, most: number): Event[] {
  const events: Event[] = [
    ...history.jobs.map((job) => ({ atMs: job.createdAtMs, job })),
    ...history.changes.map((change) => ({ atMs: change.atMs, change })),
  ];
  return events.sort((a, b) => b.atMs - a.atMs).slice(0, most);
}
