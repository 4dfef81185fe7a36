/** A step of a new connection: choose an existing source (or destination), or create one. */
import { Button, Card, Group, SimpleGrid, Skeleton, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconPlus, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { type Endpoint, type EndpointKind, endpointsQuery, connectorsQuery } from '../endpoint/endpoints';
import { NewEndpoint } from '../endpoint/NewEndpoint';
import { ErrorNote } from '../shell/ErrorNote';

const MAX_CARDS = 60;

export function ConnectorStep({ kind, workspaceId, onChosen }: { kind: EndpointKind; workspaceId: string; onChosen: (endpoint: Endpoint) => void }) {
  const endpoints = useQuery(endpointsQuery(kind, workspaceId));
  const connectors = useQuery(connectorsQuery(kind, workspaceId));
  const [creating, setCreating] = useState(false);
  const [connector, setConnector] = useState<string>();
  const [searchText, setSearchText] = useState('');
  if (endpoints.error) return <ErrorNote error={endpoints.error} retry={() => void endpoints.refetch()} />;
  if (!endpoints.data) return <Skeleton height={200} />;

  if (creating || endpoints.data.length === 0)
    return (
      <Stack>
        {endpoints.data.length > 0 && (
          <Group>
            <Button size="xs" variant="default" onClick={() => setCreating(false)}>
              Choose an existing {kind}
            </Button>
          </Group>
        )}
        <NewEndpoint kind={kind} workspaceId={workspaceId} chosen={connector} onChosen={setConnector} onCreated={onChosen} />
      </Stack>
    );

  const nameOf = (endpoint: Endpoint) => connectors.data?.find((other) => other.definitionId === endpoint.definitionId)?.name ?? endpoint.type;
  const matches = endpoints.data.filter((endpoint) => `${endpoint.name} ${nameOf(endpoint)}`.toLowerCase().includes(searchText.trim().toLowerCase()));
  return (
    <Stack>
      <Group gap="sm">
        <TextInput
          aria-label={`Search the ${kind}s`}
          placeholder={`Search the ${kind}s`}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={searchText}
          onChange={(event) => setSearchText(event.currentTarget.value)}
          flex={1}
          miw={200}
        />
        <Button variant="default" leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setCreating(true)}>
          New {kind}
        </Button>
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }} spacing="sm">
        {matches.slice(0, MAX_CARDS).map((endpoint) => (
          <UnstyledButton key={endpoint.id} onClick={() => onChosen(endpoint)}>
            <Card withBorder padding="sm" h="100%">
              <Text fw={600} size="sm" style={{ overflowWrap: 'anywhere' }}>
                {endpoint.name}
              </Text>
              <Text size="xs" c="dimmed">
                {nameOf(endpoint)}
              </Text>
            </Card>
          </UnstyledButton>
        ))}
      </SimpleGrid>
      {matches.length > MAX_CARDS && <Text size="sm" c="dimmed">Showing {MAX_CARDS} of {matches.length}. Search to find the rest.</Text>}
      {matches.length === 0 && <Text c="dimmed">No match for “{searchText}”.</Text>}
    </Stack>
  );
}
