/** A step of a new connection: one of the sources (or destinations) that there are, or a new one. */
import { Button, Card, Group, SimpleGrid, Skeleton, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconPlus, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { type Endpoint, type EndpointKind, endpointsQuery, connectorsQuery } from '../endpoint/endpoints';
import { NewEndpoint } from '../endpoint/NewEndpoint';
import { ErrorNote } from '../shell/ErrorNote';

const SHOWN = 60;

export function ConnectorStep({ kind, workspaceId, onChosen }: { kind: EndpointKind; workspaceId: string; onChosen: (one: Endpoint) => void }) {
  const endpoints = useQuery(endpointsQuery(kind, workspaceId));
  const connectors = useQuery(connectorsQuery(kind, workspaceId));
  const [making, setMaking] = useState(false);
  const [connector, setConnector] = useState<string>();
  const [words, setWords] = useState('');
  if (endpoints.error) return <ErrorNote error={endpoints.error} retry={() => void endpoints.refetch()} />;
  if (!endpoints.data) return <Skeleton height={200} />;

  if (making || endpoints.data.length === 0)
    return (
      <Stack>
        {endpoints.data.length > 0 && (
          <Group>
            <Button size="xs" variant="default" onClick={() => setMaking(false)}>
              Take one that is there
            </Button>
          </Group>
        )}
        <NewEndpoint kind={kind} workspaceId={workspaceId} chosen={connector} onChosen={setConnector} onMade={onChosen} />
      </Stack>
    );

  const nameOf = (one: Endpoint) => connectors.data?.find((other) => other.definitionId === one.definitionId)?.name ?? one.type;
  const found = endpoints.data.filter((one) => `${one.name} ${nameOf(one)}`.toLowerCase().includes(words.trim().toLowerCase()));
  return (
    <Stack>
      <Group gap="sm">
        <TextInput
          aria-label={`Search the ${kind}s`}
          placeholder={`Search the ${kind}s`}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={words}
          onChange={(event) => setWords(event.currentTarget.value)}
          flex={1}
          miw={200}
        />
        <Button variant="default" leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setMaking(true)}>
          New {kind}
        </Button>
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }} spacing="sm">
        {found.slice(0, SHOWN).map((one) => (
          <UnstyledButton key={one.id} onClick={() => onChosen(one)}>
            <Card withBorder padding="sm" h="100%">
              <Text fw={600} size="sm" style={{ overflowWrap: 'anywhere' }}>
                {one.name}
              </Text>
              <Text size="xs" c="dimmed">
                {nameOf(one)}
              </Text>
            </Card>
          </UnstyledButton>
        ))}
      </SimpleGrid>
      {found.length > SHOWN && <Text size="sm" c="dimmed">{SHOWN} of {found.length} are shown: search for the others.</Text>}
      {found.length === 0 && <Text c="dimmed">None matches “{words}”.</Text>}
    </Stack>
  );
}
