/** The server itself: its version, its workers, its settings without secrets. */
import { Card, Code, Group, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { ServerSettings, WorkersRead } from '../api/schema.gen';
import { RichText } from '../form/RichText';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { duration } from '../shell/format';
import { Time } from '../shell/Time';
import { t } from '../text';
import { settingInWords } from './serverSetting';

export function ServerTab() {
  const server = useQuery({ queryKey: ['server'], queryFn: () => api.get<ServerSettings>(`${OWN}/settings`) });
  const workers = useQuery({
    queryKey: ['workers'],
    queryFn: async () => (await api.get<WorkersRead>(`${OWN}/workers`)).data,
    refetchInterval: 10_000,
  });
  if (server.error) return <ErrorNote error={server.error} retry={() => void server.refetch()} />;
  if (!server.data) return <RowsSkeleton />;
  return (
    <Stack maw={900}>
      <Text size="sm">
        {t('Kitestring {version}, store on {store}.', { version: server.data.version, store: server.data.store === 'sqlite' ? 'SQLite' : 'PostgreSQL' })}
      </Text>
      <Card withBorder padding={0}>
        <Title order={2} size="h5" p="md" pb="xs">
          {t('Workers')}
        </Title>
        {workers.error && <ErrorNote error={workers.error} />}
        <Table horizontalSpacing="md">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('Machine')}</Table.Th>
              <Table.Th>{t('Jobs')}</Table.Th>
              <Table.Th>{t('Started')}</Table.Th>
              <Table.Th>{t('Last seen')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {workers.data?.map((worker) => (
              <Table.Tr key={worker.workerId}>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>{worker.host}</Table.Td>
                <Table.Td className="numbers">
                  {t('{running} of {slots}', { running: worker.running, slots: worker.slots })}
                </Table.Td>
                <Table.Td>
                  <Time ms={worker.startedAtMs} />
                </Table.Td>
                <Table.Td>{t('{age} ago', { age: duration(worker.seenAgoS * 1000) })}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {workers.data?.length === 0 && (
          <Text size="sm" px="md" pb="md">
            <RichText text={t('No active worker. Jobs start when a worker runs (`kitestring worker`).')} />
          </Text>
        )}
      </Card>
      <Card withBorder>
        <Title order={2} size="h5" mb="xs">
          {t('Settings')}
        </Title>
        <Text size="sm" c="dimmed" mb="sm">
          {t('Environment variables of the server, read when it starts.')}
        </Text>
        <Stack gap={4}>
          {Object.entries(server.data.settings).map(([name, value]) => (
            <Group key={name} gap="xs" wrap="nowrap" align="flex-start">
              <Code>KITESTRING_{name.toUpperCase()}</Code>
              <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
                {settingInWords(name, value)}
              </Text>
            </Group>
          ))}
        </Stack>
      </Card>
    </Stack>
  );
}
