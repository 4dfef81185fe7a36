/** What a connector advises about a draft, asked for when the typing pauses. */
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { ConfigurationAdvice, ConnectorDetail } from '../api/schema.gen';
import type { Advice } from '../form/field';
import type { Values } from '../form/schema';
import type { EndpointKind } from './endpoints';

const PAUSE_MS = 500;
const NONE: Record<string, Advice> = {};

export function useAdvice(kind: EndpointKind, connector: ConnectorDetail, workspaceId: string, id: string | undefined, value: Values, enabled: boolean): Record<string, Advice> {
  const [configuration] = useDebouncedValue(value, PAUSE_MS);
  const { definitionId } = connector;
  const advice = useQuery({
    queryKey: ['advice', kind, definitionId, id, configuration],
    queryFn: async () => {
      const body = { kind, workspaceId, definitionId, configuration, ...(id && { [`${kind}Id`]: id }) };
      const { data } = await api.post<ConfigurationAdvice>(`${OWN}/check/advice`, body);
      return Object.fromEntries(data.map(({ path, message, value: better }) => [path, { message, value: better ?? undefined }]));
    },
    enabled: enabled && connector.searchable,
    placeholderData: keepPreviousData,
    retry: false,
  });
  return advice.data ?? NONE;
}
