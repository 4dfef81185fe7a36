/** Who changed what, and when; secrets are masked. */
import { Button, Card, Center, Code, Skeleton, Stack, Table, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { AuditEntries } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { Time } from '../shell/Time';

const MAX_FIELDS = 6;

const formatValue = (value: unknown) => {
  const text = value === null || value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
};

export function AuditTab({ workspaceId }: { workspaceId: string }) {
  const query = useInfiniteQuery({
    queryKey: ['audit', workspaceId],
    queryFn: ({ pageParam, signal }) =>
      api.get<AuditEntries>(`${OWN}/audit`, { workspaceId, limit: 50, before: pageParam }, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  });
  if (query.error) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  if (!query.data) return <Skeleton h={240} />;
  const entries = query.data.pages.flatMap((page) => page.data);
  if (entries.length === 0) return <Text c="dimmed">No changes yet.</Text>;
  return (
    <Stack>
      <Card withBorder padding={0}>
        <Table.ScrollContainer minWidth={560} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'group', 'aria-label': 'Audit log' } }}>
          <Table horizontalSpacing="md" verticalSpacing="xs">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>When</Table.Th>
                <Table.Th>Who</Table.Th>
                <Table.Th>What</Table.Th>
                <Table.Th>Fields</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {entries.map((entry) => {
                const fields = Object.entries(entry.changes);
                return (
                  <Table.Tr key={entry.id} style={{ verticalAlign: 'top' }}>
                    <Table.Td style={{ whiteSpace: 'nowrap' }}>
                      <Time ms={Date.parse(entry.at)} />
                    </Table.Td>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>{entry.actor}</Table.Td>
                    <Table.Td>
                      {entry.action} {entry.kind.replaceAll('_', ' ')}
                      <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                        {entry.resourceId}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      {fields.slice(0, MAX_FIELDS).map(([path, [before, after]]) => (
                        <div key={path}>
                          <Code style={{ overflowWrap: 'anywhere' }}>
                            {path}: {entry.action === 'create' ? formatValue(after) : `${formatValue(before)} → ${formatValue(after)}`}
                          </Code>
                        </div>
                      ))}
                      {fields.length > MAX_FIELDS && (
                        <Text size="xs" c="dimmed">
                          and {fields.length - MAX_FIELDS} more
                        </Text>
                      )}
                    </Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Card>
      {query.hasNextPage && (
        <Center>
          <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Older entries
          </Button>
        </Center>
      )}
    </Stack>
  );
}
