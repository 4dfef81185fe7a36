/** The sources or the destinations of a workspace. */
import { Anchor, Button, Card, Group, Loader, Skeleton, Stack, Table, Text, TextInput, Tooltip } from '@mantine/core';
import { IconCircleCheck, IconCircleX, IconDatabaseExport, IconDatabaseImport, IconPlugConnected, IconPlus, IconSearch } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { useWorkspace } from '../session/session';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { PageHeader } from '../shell/PageHeader';
import { notifyError } from '../shell/notify';
import { type Endpoint, type EndpointKind, endpointsQuery, check, connectorsQuery, type LastCheck, lastCheckKey, usedQuery } from './endpoints';

const SHOWN = 200;
const SAID = {
  source: { title: 'Sources', icon: IconDatabaseExport, what: 'Where data comes from: a help desk, an API, a database.' },
  destination: { title: 'Destinations', icon: IconDatabaseImport, what: 'Where data goes: a vector store, a database, files.' },
};

export const SourcesPage = () => <EndpointsPage kind="source" />;
export const DestinationsPage = () => <EndpointsPage kind="destination" />;

function EndpointsPage({ kind }: { kind: EndpointKind }) {
  const { workspaceId, may } = useWorkspace();
  const endpoints = useQuery(endpointsQuery(kind, workspaceId));
  const connectors = useQuery(connectorsQuery(kind, workspaceId));
  const used = useQuery(usedQuery(workspaceId));
  const [words, setWords] = useState('');
  const said = SAID[kind];
  const add = may('editor') && (
    <Button component={Link} to={`/${kind}s/new`} leftSection={<IconPlus size={16} aria-hidden />}>
      New {kind}
    </Button>
  );

  const nameOf = (one: Endpoint) => connectors.data?.find((other) => other.definitionId === one.definitionId)?.name ?? one.type;
  const found = (endpoints.data ?? []).filter((one) =>
    words.toLowerCase().split(/\s+/).every((word) => `${one.name} ${nameOf(one)}`.toLowerCase().includes(word)),
  );

  return (
    <>
      <PageHeader title={said.title} note={said.what}>
        {endpoints.data && endpoints.data.length > 0 && add}
      </PageHeader>
      {endpoints.error && <ErrorNote error={endpoints.error} retry={() => void endpoints.refetch()} />}
      {endpoints.isPending && <Skeleton height={160} />}
      {endpoints.data?.length === 0 && (
        <Card withBorder>
          <EmptyState icon={<said.icon size={28} aria-hidden />} title={`No ${kind} yet`} action={add}>
            {said.what} Its credentials are sealed on the server and never shown again.
          </EmptyState>
        </Card>
      )}
      {endpoints.data && endpoints.data.length > 0 && (
        <Stack>
          {endpoints.data.length > 8 && (
            <TextInput
              aria-label={`Search the ${kind}s`}
              placeholder="Search by name or connector"
              leftSection={<IconSearch size={16} aria-hidden />}
              value={words}
              onChange={(event) => setWords(event.currentTarget.value)}
              maw={360}
            />
          )}
          <Card withBorder padding={0}>
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing="sm" horizontalSpacing="md" highlightOnHover>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Name</Table.Th>
                    <Table.Th visibleFrom="sm">Connector</Table.Th>
                    <Table.Th visibleFrom="sm">Connections</Table.Th>
                    <Table.Th>Check</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {found.slice(0, SHOWN).map((one) => {
                    const by = used.data?.filter((other) => other[`${kind}Id`] === one.id) ?? [];
                    return (
                      <Table.Tr key={one.id}>
                        <Table.Td>
                          <Anchor component={Link} to={`/${kind}s/${one.id}`} fw={600} style={{ overflowWrap: 'anywhere' }}>
                            {one.name}
                          </Anchor>
                          <Text size="xs" c="dimmed" hiddenFrom="sm">
                            {nameOf(one)}
                          </Text>
                        </Table.Td>
                        <Table.Td visibleFrom="sm">{nameOf(one)}</Table.Td>
                        <Table.Td visibleFrom="sm">
                          <Tooltip label={by.map((other) => other.name).join(', ')} disabled={by.length === 0} multiline maw={320}>
                            <Text span size="sm" c={by.length ? undefined : 'dimmed'}>
                              {used.data ? (by.length === 0 ? 'none' : by.length) : '…'}
                            </Text>
                          </Tooltip>
                        </Table.Td>
                        <Table.Td>
                          <Check kind={kind} one={one} may={may('runner')} />
                        </Table.Td>
                      </Table.Tr>
                    );
                  })}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          </Card>
          {found.length > SHOWN && (
            <Text size="sm" c="dimmed">
              {SHOWN} of {found.length} are shown: search for the others.
            </Text>
          )}
          {found.length === 0 && <Text c="dimmed">None matches “{words}”.</Text>}
        </Stack>
      )}
    </>
  );
}

function Check({ kind, one, may }: { kind: EndpointKind; one: Endpoint; may: boolean }) {
  const last = useQuery<LastCheck | null>({ queryKey: lastCheckKey(kind, one.id), queryFn: () => null, enabled: false }).data;
  const checking = useMutation({ mutationFn: () => check(kind, one.id), onError: notifyError });
  if (checking.isPending)
    return (
      <Group gap={6} wrap="nowrap">
        <Loader size={14} aria-hidden />
        <Text size="sm">Checking…</Text>
      </Group>
    );
  return (
    <Group gap="xs">
      {last && (
        <Tooltip label={last.message || 'Connected'} multiline maw={320}>
          <Group gap={4} wrap="nowrap" tabIndex={0}>
            {last.status === 'succeeded' ? (
              <IconCircleCheck size={16} aria-hidden color="var(--mantine-color-green-7)" />
            ) : (
              <IconCircleX size={16} aria-hidden color="var(--mantine-color-red-7)" />
            )}
            <Text size="sm">{last.status === 'succeeded' ? 'Works' : 'Fails'}</Text>
          </Group>
        </Tooltip>
      )}
      {may && (
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<IconPlugConnected size={14} aria-hidden />}
          aria-label={`${last ? 'Check again' : 'Check'}: ${one.name}`}
          onClick={() => checking.mutate()}
        >
          {last ? 'Check again' : 'Check'}
        </Button>
      )}
    </Group>
  );
}
