/** A step of a new connection: choose an existing source (or destination), or create one. */
import { Button, Card, Group, SimpleGrid, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconPlus, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';

import { ConnectorIcon } from '../catalog/ConnectorIcon';
import { type EndpointKind, overviewsQuery } from '../endpoint/endpoints';
import { NewEndpoint } from '../endpoint/NewEndpoint';
import { FormSkeleton } from '../form/FormSkeleton';
import { SuggestionsContext } from '../form/suggestions';
import { ErrorNote } from '../shell/ErrorNote';
import { CardsSkeleton } from '../shell/OutlineSkeleton';
import { suggestedFieldsQuery, suggestionsOf } from '../streams/embedded';
import { t } from '../text';

const MAX_CARDS = 60;

/** The address says so while a connector is chosen; then it has the connector. */
const CHOOSING = 'new';

export function ConnectorStep({
  kind,
  workspaceId,
  sourceId,
  connector,
  onConnector,
  onChosen,
}: {
  kind: EndpointKind;
  workspaceId: string;
  /** For a destination, the source whose fields it is offered. */
  sourceId?: string;
  /** The connector whose form is open; undefined while an existing source or destination is chosen. */
  connector: string | undefined;
  onConnector: (connector: string | undefined) => void;
  onChosen: (endpoint: { id: string }) => void;
}) {
  const [searchText, setSearchText] = useState('');
  const [text] = useDebouncedValue(searchText.trim(), 250);
  const endpoints = useQuery(overviewsQuery(kind, workspaceId, { text }, MAX_CARDS));
  const suggested = useQuery({ ...suggestedFieldsQuery(sourceId ?? ''), enabled: sourceId !== undefined });
  const suggestions = useMemo(() => suggestionsOf(suggested.data), [suggested.data]);
  if (endpoints.error) return <ErrorNote error={endpoints.error} retry={() => void endpoints.refetch()} />;
  if (!endpoints.data) return <CardsSkeleton />;

  const any = endpoints.data.total > 0 || text !== '';
  if (connector !== undefined || !any)
    return (
      <Stack>
        {any && (
          <Group>
            <Button size="xs" variant="default" onClick={() => onConnector(undefined)}>
              {kind === 'source' ? t('Choose an existing source') : t('Choose an existing destination')}
            </Button>
          </Group>
        )}
        {connector !== undefined && connector !== CHOOSING && sourceId && suggested.isPending ? (
          <FormSkeleton />
        ) : (
          <SuggestionsContext value={suggestions}>
            <NewEndpoint
              kind={kind}
              workspaceId={workspaceId}
              chosen={connector === CHOOSING ? undefined : connector}
              onChosen={(chosen) => onConnector(chosen ?? (any ? CHOOSING : undefined))}
              onCreated={onChosen}
            />
          </SuggestionsContext>
        )}
      </Stack>
    );

  const searchLabel = kind === 'source' ? t('Search the sources') : t('Search the destinations');
  const { data: matches, total } = endpoints.data;
  return (
    <Stack>
      <Group gap="sm">
        <TextInput
          aria-label={searchLabel}
          placeholder={searchLabel}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={searchText}
          onChange={(event) => setSearchText(event.currentTarget.value)}
          flex={1}
          miw={200}
        />
        <Button variant="default" leftSection={<IconPlus size={16} aria-hidden />} onClick={() => onConnector(CHOOSING)}>
          {kind === 'source' ? t('New source') : t('New destination')}
        </Button>
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }} spacing="sm">
        {matches.map((endpoint) => (
          <UnstyledButton key={endpoint.id} onClick={() => onChosen(endpoint)}>
            <Card withBorder padding="sm" h="100%">
              <Group gap="sm" wrap="nowrap">
                <ConnectorIcon type={endpoint.type} name={endpoint.connectorName} svg={endpoint.icon} size={28} />
                <div style={{ minWidth: 0 }}>
                  <Text fw={600} size="sm" lineClamp={2} style={{ overflowWrap: 'anywhere' }}>
                    {endpoint.name}
                  </Text>
                  <Text size="xs" c="dimmed">
                    {endpoint.connectorName}
                  </Text>
                </div>
              </Group>
            </Card>
          </UnstyledButton>
        ))}
      </SimpleGrid>
      {total > matches.length && (
        <Text size="sm" c="dimmed">
          {t('Showing {count} of {all}. Search to find the rest.', { count: matches.length, all: total })}
        </Text>
      )}
      {matches.length === 0 && <Text c="dimmed">{t('No match for “{text}”.', { text })}</Text>}
    </Stack>
  );
}
