/** The connections of a workspace: status, last sync and schedule. */
import { Button, Group, Pagination, Paper, Select, Skeleton, Stack, Table, Text, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconArrowsRightLeft, IconPlus, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import { useWorkspace } from '../session/session';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { count } from '../shell/format';
import { PageHeader } from '../shell/PageHeader';
import { ConnectionRow } from './ConnectionRow';
import { CONDITIONS, type Filter, overviewsQuery, PAGE } from './overviews';

const route = getRouteApi('/shell/connections');

export function ConnectionsPage() {
  const { workspaceId, may } = useWorkspace();
  const filter = route.useSearch();
  const navigate = route.useNavigate();
  const change = (changes: Filter) =>
    void navigate({ search: (previous) => ({ ...previous, page: undefined, ...changes }), replace: true });
  const [typed, setTyped] = useState(filter.text ?? '');
  const search = useDebouncedCallback((text: string) => change({ text: text || undefined }), 250);
  const overviews = useQuery(overviewsQuery(workspaceId, filter));
  const rights = useMemo(() => ({ run: may('runner'), edit: may('editor') }), [may]);
  const filtered = Boolean(filter.text || filter.condition);
  const total = overviews.data?.total ?? 0;
  const pages = Math.ceil(total / PAGE);
  const add = (
    <Button component={Link} to="/connections/new" leftSection={<IconPlus size={16} aria-hidden />}>
      New connection
    </Button>
  );

  return (
    <>
      <PageHeader title="Connections" note="Sources, destinations and the status of their syncs.">
        {rights.edit && total > 0 && add}
      </PageHeader>
      {overviews.error && <ErrorNote error={overviews.error} retry={() => void overviews.refetch()} />}
      {overviews.data && total === 0 && !filtered ? (
        <Paper withBorder>
          <EmptyState
            icon={<IconArrowsRightLeft size={28} aria-hidden />}
            title="Connect your first source"
            action={rights.edit && add}
          >
            A connection copies the streams of a source, such as your help desk, into a destination, such as a vector
            store, and keeps them up to date. Choose a source, a destination and the streams; the first sync can begin a
            minute from now.
          </EmptyState>
        </Paper>
      ) : (
        <Stack>
          <Group gap="xs">
            <TextInput
              aria-label="Search connections"
              placeholder="Search by name, source or destination"
              leftSection={<IconSearch size={16} aria-hidden />}
              value={typed}
              onChange={(event) => {
                setTyped(event.currentTarget.value);
                search(event.currentTarget.value);
              }}
              style={{ flex: '1 1 240px' }}
              maw={420}
            />
            <Select
              aria-label="Status"
              placeholder="Any status"
              data={CONDITIONS}
              value={filter.condition ?? null}
              onChange={(value) => change({ condition: value ?? undefined })}
              clearable
              w={190}
              clearButtonProps={{ 'aria-label': 'Any status' }}
            />
          </Group>
          <Paper withBorder style={{ overflow: 'hidden' }}>
            <Table verticalSpacing="sm" horizontalSpacing="md" highlightOnHover>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Connection</Table.Th>
                  <Table.Th>Status</Table.Th>
                  <Table.Th visibleFrom="sm">Last sync</Table.Th>
                  <Table.Th visibleFrom="md">Schedule</Table.Th>
                  <Table.Th>
                    <span className="unseen">Actions</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {overviews.data?.data.map((connection) => (
                  <ConnectionRow key={connection.connectionId} connection={connection} may={rights} />
                ))}
                {!overviews.data &&
                  !overviews.error &&
                  [1, 2, 3, 4].map((row) => (
                    <Table.Tr key={row}>
                      <Table.Td colSpan={5}>
                        <Skeleton h={34} />
                      </Table.Td>
                    </Table.Tr>
                  ))}
              </Table.Tbody>
            </Table>
            {overviews.data && total === 0 && (
              <Text c="dimmed" size="sm" ta="center" py="xl">
                No connection matches the filters.
              </Text>
            )}
          </Paper>
          {total > 0 && (
            <Group justify="space-between">
              <Text size="sm" c="dimmed" className="numbers" role="status">
                {count(total)} {total === 1 ? 'connection' : 'connections'}
              </Text>
              {pages > 1 && (
                <Pagination
                  total={pages}
                  value={filter.page ?? 1}
                  onChange={(page) => void navigate({ search: (previous) => ({ ...previous, page }) })}
                  size="sm"
                  getItemProps={(page) => ({ 'aria-label': `Page ${page}` })}
                  getControlProps={(control) => ({ 'aria-label': `${control} page` })}
                />
              )}
            </Group>
          )}
        </Stack>
      )}
    </>
  );
}
