/** API calls and queries for sources and destinations. */
import { queryOptions } from '@tanstack/react-query';

import { api, OWN, PUBLIC } from '../api/client';
import { queryClient } from '../api/queries';
import type { CheckResult, Connection, ConnectorDetail, ConnectorSummaries, CredentialEnds } from '../api/schema.gen';
import type { Values } from '../form/schema';

export type EndpointKind = 'source' | 'destination';

export interface Endpoint {
  id: string;
  name: string;
  type: string;
  definitionId: string;
  workspaceId: string;
  configuration: Values;
  createdAt: number;
}

type Answer = Values & { name: string; definitionId: string; workspaceId: string; configuration: Values; createdAt: number };

function endpointOf(kind: EndpointKind, answer: Answer): Endpoint {
  const { name, definitionId, workspaceId, configuration, createdAt } = answer;
  // The configuration holds the type for Airbyte's clients; the form gets it from the connector.
  const { [`${kind}Type`]: _, ...config } = configuration;
  return {
    id: String(answer[`${kind}Id`]),
    type: String(answer[`${kind}Type`]),
    ...{ name, definitionId, workspaceId, createdAt, configuration: config },
  };
}

const MAX_ITEMS = 5_000;

/** All pages of a list of the public API. */
async function all<T>(path: string, workspaceId: string): Promise<T[]> {
  const items: T[] = [];
  for (let offset = 0; offset < MAX_ITEMS; offset += 100) {
    const page = await api.get<{ data: T[] }>(path, { workspaceIds: workspaceId, limit: 100, offset });
    items.push(...page.data);
    if (page.data.length < 100) break;
  }
  return items;
}

export const endpointsQuery = (kind: EndpointKind, workspaceId: string | undefined) =>
  queryOptions({
    queryKey: ['endpoints', kind, workspaceId],
    queryFn: async () => (await all<Answer>(`${PUBLIC}/${kind}s`, workspaceId!)).map((answer) => endpointOf(kind, answer)),
    enabled: workspaceId !== undefined,
  });

export const endpointQuery = (kind: EndpointKind, id: string) =>
  queryOptions({
    queryKey: ['endpoints', kind, 'one', id],
    queryFn: async () => endpointOf(kind, await api.get<Answer>(`${PUBLIC}/${kind}s/${id}`)),
  });

export const credentialExpiryQuery = (sourceId: string) =>
  queryOptions({
    queryKey: ['endpoints', 'source', 'one', sourceId, 'credentials'],
    queryFn: async () => (await api.get<CredentialEnds>(`${OWN}/sources/${sourceId}/credentials`)).data,
  });

export const workspaceConnectionsQuery = (workspaceId: string | undefined) =>
  queryOptions({
    queryKey: ['endpoints', 'used', workspaceId],
    queryFn: () => all<Connection>(`${PUBLIC}/connections`, workspaceId!),
    enabled: workspaceId !== undefined,
  });

export const connectorsQuery = (kind: EndpointKind, workspaceId: string | undefined) =>
  queryOptions({
    queryKey: ['connectors', kind, workspaceId],
    queryFn: async () => (await api.get<ConnectorSummaries>(`${OWN}/connectors`, { kind, workspaceId })).data,
    enabled: workspaceId !== undefined,
    staleTime: 60_000,
  });

/** A connector with its form; its `definitionId` or its type. */
export const specQuery = (kind: EndpointKind, connectorKey: string) =>
  queryOptions({
    queryKey: ['connectors', kind, 'spec', connectorKey],
    queryFn: () => api.get<ConnectorDetail>(`${OWN}/connectors/${kind}/${encodeURIComponent(connectorKey)}`),
    staleTime: 60_000,
  });

export async function install(kind: EndpointKind, definitionId: string): Promise<void> {
  await api.post(`${OWN}/connectors/${kind}/${definitionId}/install`);
  await queryClient.invalidateQueries({ queryKey: ['connectors', kind] });
}

export interface Draft {
  workspaceId: string;
  definitionId: string;
  /** The id of an existing endpoint: a masked value in the configuration means its stored secret. */
  id?: string;
  configuration: Values;
}

export function checkDraft(kind: EndpointKind, draft: Draft): Promise<CheckResult> {
  const { id, ...rest } = draft;
  return api.post<CheckResult>(`${OWN}/check`, { kind, ...rest, ...(id && { [`${kind}Id`]: id }) });
}

export interface LastCheck extends CheckResult {
  atMs: number;
}

export const lastCheckKey = (kind: EndpointKind, id: string) => ['checked', kind, id];

/** Check a saved endpoint. The result is cached while the pages are open. */
export async function check(kind: EndpointKind, id: string): Promise<LastCheck> {
  const result = { ...(await api.post<CheckResult>(`${OWN}/${kind}s/${id}/check`)), atMs: Date.now() };
  queryClient.setQueryData(lastCheckKey(kind, id), result);
  return result;
}

export async function create(
  kind: EndpointKind,
  body: { name: string; workspaceId: string; definitionId: string; configuration: Values; secretId?: string },
): Promise<Endpoint> {
  const endpoint = endpointOf(kind, await api.post<Answer>(`${PUBLIC}/${kind}s`, body));
  await refresh(kind);
  return endpoint;
}

export async function change(kind: EndpointKind, id: string, name: string, configuration: Values): Promise<Endpoint> {
  const endpoint = endpointOf(kind, await api.put<Answer>(`${PUBLIC}/${kind}s/${id}`, { name, configuration }));
  queryClient.removeQueries({ queryKey: lastCheckKey(kind, id) });
  await refresh(kind);
  return endpoint;
}

export async function remove(kind: EndpointKind, id: string): Promise<void> {
  await api.delete(`${PUBLIC}/${kind}s/${id}`);
  await refresh(kind);
}

async function refresh(kind: EndpointKind): Promise<void> {
  await queryClient.invalidateQueries({ queryKey: ['endpoints', kind] });
}
