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
import { type Endpoint, type EndpointKind, endpointsQuery, check, connectorsQuery, type LastCheck, lastCheckKey, workspaceConnectionsQuery } from './endpoints';

const MAX_ROWS = 200;
const TEXTS = {
  source: { title: 'Sources', icon: IconDatabaseExport, what: 'Where data comes from: a help desk, an API, a database.' },
  destination: { title: 'Destinations', icon: IconDatabaseImport, what: 'Where data goes: a vector store, a database, files.' },
};

export const SourcesPage = () => <EndpointsPage kind="source" />;
export const DestinationsPage = () => <EndpointsPage kind="destination" />;

function EndpointsPage({ kind }: { kind: EndpointKind }) {
  const { workspaceId, may } = useWorkspace();
  const endpoints = useQuery(endpointsQuery(kind, workspaceId));
  const connectors = useQuery(connectorsQuery(kind, workspaceId));
  const workspaceConnections = useQuery(workspaceConnectionsQuery(workspaceId));
  const [searchText, setSearchText] = useState('');
  const texts = TEXTS[kind];
  const add = may('editor') && (
    <Button component={Link} to={`/${kind}s/new`} leftSection={<IconPlus size={16} aria-hidden />}>
      New {kind}
    </Button>
  );

  const nameOf = (endpoint: Endpoint) => connectors.data?.find((other) => other.definitionId === endpoint.definitionId)?.name ?? endpoint.type;
  const matches = (endpoints.data ?? []).filter((endpoint) =>
    searchText.toLowerCase().split(/\s+/).every((term) => `${endpoint.name} ${nameOf(endpoint)}`.toLowerCase().includes(term)),
  );

  return (
    <>
      <PageHeader title={texts.title} note={texts.what}>
        {endpoints.data && endpoints.data.length > 0 && add}
      </PageHeader>
      {endpoints.error && <ErrorNote error={endpoints.error} retry={() => void endpoints.refetch()} />}
      {endpoints.isPending && <Skeleton height={160} />}
      {endpoints.data?.length === 0 && (
        <Card withBorder>
          <EmptyState icon={<texts.icon size={28} aria-hidden />} title={`No ${kind} yet`} action={add}>
            {texts.what} Its credentials are encrypted on the server and never shown again.
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
              value={searchText}
              onChange={(event) => setSearchText(event.currentTarget.value)}
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
                  {matches.slice(0, MAX_ROWS).map((endpoint) => {
                    const connections = workspaceConnections.data?.filter((other) => other[`${kind}Id`] === endpoint.id) ?? [];
                    return (
                      <Table.Tr key={endpoint.id}>
                        <Table.Td>
                          <Anchor component={Link} to={`/${kind}s/${endpoint.id}`} fw={600} style={{ overflowWrap: 'anywhere' }}>
                            {endpoint.name}
                          </Anchor>
                          <Text size="xs" c="dimmed" hiddenFrom="sm">
                            {nameOf(endpoint)}
                          </Text>
                        </Table.Td>
                        <Table.Td visibleFrom="sm">{nameOf(endpoint)}</Table.Td>
                        <Table.Td visibleFrom="sm">
                          <Tooltip label={connections.map((other) => other.name).join(', ')} disabled={connections.length === 0} multiline maw={320}>
                            <Text span size="sm" c={connections.length ? undefined : 'dimmed'}>
                              {workspaceConnections.data ? (connections.length === 0 ? 'none' : connections.length) : '…'}
                            </Text>
                          </Tooltip>
                        </Table.Td>
                        <Table.Td>
                          <Check kind={kind} endpoint={endpoint} may={may('runner')} />
                        </Table.Td>
                      </Table.Tr>
                    );
                  })}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          </Card>
          {matches.length > MAX_ROWS && (
            <Text size="sm" c="dimmed">
              Showing {MAX_ROWS} of {matches.length}. Search to find the rest.
            </Text>
          )}
          {matches.length === 0 && <Text c="dimmed">No match for “{searchText}”.</Text>}
        </Stack>
      )}
    </>
  );
}

function Check({ kind, endpoint, may }: { kind: EndpointKind; endpoint: Endpoint; may: boolean }) {
  const last = useQuery<LastCheck | null>({ queryKey: lastCheckKey(kind, endpoint.id), queryFn: () => null, enabled: false }).data;
  const checking = useMutation({ mutationFn: () => check(kind, endpoint.id), onError: notifyError });
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
          aria-label={`${last ? 'Check again' : 'Check'}: ${endpoint.name}`}
          onClick={() => checking.mutate()}
        >
          {last ? 'Check again' : 'Check'}
        </Button>
      )}
    </Group>
  );
}
