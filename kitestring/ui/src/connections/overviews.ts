/** The connections of a workspace as the server lists them, kept up to date. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { ConnectionCounts, ConnectionDetail, ConnectionOverview, ConnectionOverviews } from '../api/schema.gen';

export const ACTIVE = ['pending', 'running', 'incomplete'];
export const PAGE = 50;
const BATCH = 200;

/** The conditions of a connection, in the order of the tabs. */
export const CONDITIONS = ['running', 'deciding', 'failed', 'suspicious', 'paused', 'succeeded', 'cancelled', 'never'] as const;

/** What narrows the list, as the address has it. */
export interface Filter {
  text?: string;
  condition?: string;
  tag?: string;
  owner?: string;
  order?: string;
  page?: number;
}

const parametersOf = (workspaceId: string | undefined, { text, tag, owner }: Filter) => ({
  workspaceIds: workspaceId,
  text,
  tagIds: tag,
  owner,
});

export function overviewsQuery(workspaceId: string | undefined, filter: Filter) {
  return queryOptions({
    queryKey: ['connections', workspaceId, filter],
    enabled: workspaceId !== undefined,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      api.get<ConnectionOverviews>(
        `${OWN}/connections`,
        {
          ...parametersOf(workspaceId, filter),
          condition: filter.condition,
          order: filter.order,
          limit: PAGE,
          offset: ((filter.page ?? 1) - 1) * PAGE,
        },
        signal,
      ),
    refetchInterval: (query) =>
      query.state.data?.data.some((connection) => connection.job && ACTIVE.includes(connection.job.status)) ? 2_000 : 10_000,
  });
}

/** How many connections match the filters, by condition; the owners and the tags that there are. */
export function countsQuery(workspaceId: string | undefined, { text, tag, owner }: Filter) {
  const filter = { text, tag, owner };
  return queryOptions({
    queryKey: ['connections', workspaceId, 'counts', filter],
    enabled: workspaceId !== undefined,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => api.get<ConnectionCounts>(`${OWN}/connections/counts`, parametersOf(workspaceId, filter), signal),
    refetchInterval: 10_000,
  });
}

/** Every connection that matches the filters, by id, with its name. */
export async function allMatching(workspaceId: string, filter: Filter): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (let offset = 0; ; offset += BATCH) {
    const query = { ...parametersOf(workspaceId, filter), condition: filter.condition, limit: BATCH, offset };
    const { data } = await api.get<ConnectionOverviews>(`${OWN}/connections`, query);
    for (const connection of data) names.set(connection.connectionId, connection.name);
    if (data.length < BATCH) return names;
  }
}

export function connectionQuery(connectionId: string) {
  return queryOptions({
    queryKey: ['connection', connectionId],
    queryFn: ({ signal }) => api.get<ConnectionDetail>(`${OWN}/connections/${connectionId}`, undefined, signal),
    refetchInterval: (query) =>
      query.state.data?.job && ACTIVE.includes(query.state.data.job.status) ? 2_000 : 10_000,
  });
}

/** Whether a window of its running continuous job did not add up. */
export const isDoubtful = (connection: ConnectionOverview) =>
  !!connection.job && ACTIVE.includes(connection.job.status) && !!connection.job.windows?.suspicious;

/** Whether something of a connection is at its destination, as far as its last jobs tell. */
export function hasWritten({ freshAtMs, streams, job }: Pick<ConnectionDetail, 'freshAtMs' | 'streams' | 'job'>): boolean {
  if (freshAtMs !== null || (job?.progress?.written ?? 0) > 0) return true;
  return streams.some(({ last }) => (last?.written ?? 0) + (last?.unchanged ?? 0) > 0);
}

/** The status of a connection: pending work has priority over the last result. */
export function conditionOf(connection: ConnectionOverview): string {
  if (connection.job && ACTIVE.includes(connection.job.status)) return connection.job.status;
  if (connection.deciding) return 'deciding';
  if (connection.status !== 'active') return 'paused';
  return connection.job?.status ?? 'never';
}
