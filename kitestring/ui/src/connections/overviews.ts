/** The connections of a workspace as the server lists them, kept up to date. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { ConnectionDetail, ConnectionOverview, ConnectionOverviews } from '../api/schema.gen';

export const ACTIVE = ['pending', 'running', 'incomplete'];
export const PAGE = 50;

export const CONDITIONS = [
  { value: 'running', label: 'Running' },
  { value: 'succeeded', label: 'Last succeeded' },
  { value: 'suspicious', label: 'Last suspicious' },
  { value: 'failed', label: 'Last failed' },
  { value: 'cancelled', label: 'Last cancelled' },
  { value: 'never', label: 'Not run yet' },
  { value: 'paused', label: 'Paused' },
  { value: 'deciding', label: 'Needs a decision' },
];

export interface Filter {
  text?: string;
  condition?: string;
  page?: number;
}

export function overviewsQuery(workspaceId: string | undefined, filter: Filter) {
  return queryOptions({
    queryKey: ['connections', workspaceId, filter],
    enabled: workspaceId !== undefined,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      api.get<ConnectionOverviews>(
        `${OWN}/connections`,
        {
          workspaceIds: workspaceId,
          text: filter.text,
          condition: filter.condition,
          limit: PAGE,
          offset: ((filter.page ?? 1) - 1) * PAGE,
        },
        signal,
      ),
    refetchInterval: (query) =>
      query.state.data?.data.some((connection) => connection.job && ACTIVE.includes(connection.job.status)) ? 2_000 : 10_000,
  });
}

export function connectionQuery(connectionId: string) {
  return queryOptions({
    queryKey: ['connection', connectionId],
    queryFn: ({ signal }) => api.get<ConnectionDetail>(`${OWN}/connections/${connectionId}`, undefined, signal),
    refetchInterval: (query) =>
      query.state.data?.job && ACTIVE.includes(query.state.data.job.status) ? 2_000 : 10_000,
  });
}

/** The status of a connection: pending work has priority over the last result. */
export function conditionOf(connection: ConnectionOverview): string {
  if (connection.job && ACTIVE.includes(connection.job.status)) return connection.job.status;
  if (connection.deciding) return 'deciding';
  if (connection.status !== 'active') return 'paused';
  return connection.job?.status ?? 'never';
}
