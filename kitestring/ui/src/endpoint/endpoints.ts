/** API calls and queries for sources and destinations. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';

import { api, OWN, PUBLIC } from '../api/client';
import { queryClient } from '../api/queries';
import type { CheckResult, ConnectionOverviews, ConnectorDetail, ConnectorSummaries, ContinuousSource, CredentialEnds, EndpointOverview, EndpointOverviews } from '../api/schema.gen';
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
  /** For the `If-Match` of a change. */
  version: string;
}

type Answer = Values & { name: string; definitionId: string; workspaceId: string; configuration: Values; createdAt: number };

function endpointOf(kind: EndpointKind, answer: Answer, version = ''): Endpoint {
  const { name, definitionId, workspaceId, configuration, createdAt } = answer;
  // The configuration holds the type for Airbyte's clients; the form gets it from the connector.
  const { [`${kind}Type`]: _, ...config } = configuration;
  return {
    id: String(answer[`${kind}Id`]),
    type: String(answer[`${kind}Type`]),
    ...{ name, definitionId, workspaceId, createdAt, version, configuration: config },
  };
}

export const endpointQuery = (kind: EndpointKind, id: string) =>
  queryOptions({
    queryKey: ['endpoints', kind, 'one', id],
    queryFn: async () => {
      const { value, version } = await api.getVersion<Answer>(`${PUBLIC}/${kind}s/${id}`);
      return endpointOf(kind, value, version);
    },
  });

export const credentialExpiryQuery = (sourceId: string) =>
  queryOptions({
    queryKey: ['endpoints', 'source', 'one', sourceId, 'credentials'],
    queryFn: async () => (await api.get<CredentialEnds>(`${OWN}/sources/${sourceId}/credentials`)).data,
  });

/** Whether a connection from a source can be continuous. The server looks at its connector and configuration. */
export const continuousQuery = (sourceId: string) =>
  queryOptions({
    queryKey: ['endpoints', 'source', 'one', sourceId, 'continuous'],
    queryFn: () => api.get<ContinuousSource>(`${OWN}/sources/${sourceId}/continuous`),
  });

/** How many sources or destinations a page of their list has. */
export const PAGE = 50;

/** Which of them are listed, as the address has it. */
export interface EndpointFilter {
  text?: string;
  order?: string;
  page?: number;
  /** Only destinations whose data can be looked at. */
  browsable?: boolean;
}

/** Sources or destinations with their connectors, connections and last tests: a page of them, found by the server. */
export const overviewsQuery = (kind: EndpointKind, workspaceId: string | undefined, { text, order, page = 1, browsable }: EndpointFilter, limit = PAGE) =>
  queryOptions({
    queryKey: ['endpoints', kind, 'overviews', workspaceId, text, order, page, limit, browsable],
    queryFn: ({ signal }) =>
      api.get<EndpointOverviews>(`${OWN}/${kind}s`, { workspaceIds: workspaceId, text, order, limit, offset: (page - 1) * limit, browsable }, signal),
    placeholderData: keepPreviousData,
    enabled: workspaceId !== undefined,
  });

export const overviewQuery = (kind: EndpointKind, id: string) =>
  queryOptions({
    queryKey: ['endpoints', kind, 'overview', id],
    queryFn: () => api.get<EndpointOverview>(`${OWN}/${kind}s/${id}`),
  });

/** The connections that use a source or destination: the first of them, and how many there are. */
export const usesQuery = (kind: EndpointKind, id: string) =>
  queryOptions({
    queryKey: ['endpoints', kind, 'uses', id],
    queryFn: () => api.get<ConnectionOverviews>(`${OWN}/connections`, { [`${kind}Id`]: id, limit: 50 }),
  });

export const connectorsQuery = (kind: EndpointKind, workspaceId: string | undefined) =>
  queryOptions({
    queryKey: ['connectors', kind, workspaceId],
    queryFn: async () => (await api.get<ConnectorSummaries>(`${OWN}/connectors`, { kind, workspaceId })).data,
    enabled: workspaceId !== undefined,
    staleTime: 60_000,
  });

/** A connector with its form; its `definitionId` or its type. */
/** A connector with the form of its configuration; `version`: of a custom low-code source, a published version. */
export const specQuery = (kind: EndpointKind, connectorKey: string, version?: number) =>
  queryOptions({
    queryKey: ['connectors', kind, 'spec', connectorKey, version ?? null],
    queryFn: () => api.get<ConnectorDetail>(`${OWN}/connectors/${kind}/${encodeURIComponent(connectorKey)}`, { version }),
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

/** Test a saved endpoint. The server keeps the result. */
export async function check(kind: EndpointKind, id: string): Promise<CheckResult> {
  const result = await api.post<CheckResult>(`${OWN}/${kind}s/${id}/check`);
  await refresh(kind);
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

/** Save a changed endpoint; refused where somebody has changed it since this version. The present state is loaded then. */
export async function change(kind: EndpointKind, { id, version }: Pick<Endpoint, 'id' | 'version'>, name: string, configuration: Values, onSaved?: () => void): Promise<void> {
  try {
    await api.put<Answer>(`${PUBLIC}/${kind}s/${id}`, { name, configuration }, version);
    onSaved?.();
  } finally {
    await refresh(kind);
  }
}

export async function remove(kind: EndpointKind, id: string): Promise<void> {
  await api.delete(`${PUBLIC}/${kind}s/${id}`);
  await refresh(kind);
}

async function refresh(kind: EndpointKind): Promise<void> {
  await Promise.all([
    queryClient.invalidateQueries({ queryKey: ['endpoints', kind] }),
    queryClient.invalidateQueries({ queryKey: ['connectors', kind], refetchType: 'none' }),
  ]);
}
