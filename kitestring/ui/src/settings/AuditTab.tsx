/** Who changed what, and when; secrets are masked. */
import { Button, Card, Center, Code, Skeleton, Stack, Table, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { AuditEntries } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { Time } from '../shell/Time';

const SHOWN = 6;

const said = (value: unknown) => {
  const text = value === null || value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
};

export function AuditTab({ workspaceId }: { workspaceId: string }) {
  const found = useInfiniteQuery({
    queryKey: ['audit', workspaceId],
    queryFn: ({ pageParam, signal }) =>
      api.get<AuditEntries>(`${OWN}/audit`, { workspaceId, limit: 50, before: pageParam }, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  });
  if (found.error) return <ErrorNote error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton h={240} />;
  const entries = found.data.pages.flatMap((page) => page.data);
  if (entries.length === 0) return <Text c="dimmed">Nothing was changed yet.</Text>;
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
              {entries.map((one) => {
                const fields = Object.entries(one.changes);
                return (
                  <Table.Tr key={one.id} style={{ verticalAlign: 'top' }}>
                    <Table.Td style={{ whiteSpace: 'nowrap' }}>
                      <Time ms={Date.parse(one.at)} />
                    </Table.Td>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>{one.actor}</Table.Td>
                    <Table.Td>
                      {one.action} {one.kind.replaceAll('_', ' ')}
                      <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                        {one.resourceId}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      {fields.slice(0, SHOWN).map(([path, [before, after]]) => (
                        <div key={path}>
                          <Code style={{ overflowWrap: 'anywhere' }}>
                            {path}: {one.action === 'create' ? said(after) : `${said(before)} → ${said(after)}`}
                          </Code>
                        </div>
                      ))}
                      {fields.length > SHOWN && (
                        <Text size="xs" c="dimmed">
                          and {fields.length - SHOWN} more
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
      {found.hasNextPage && (
        <Center>
          <Button variant="default" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            Older entries
          </Button>
        </Center>
      )}
    </Stack>
  );
}
