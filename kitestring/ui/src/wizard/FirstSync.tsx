/** The last step of a new connection: estimate and start the first sync. */
import { Alert, Button, Card, Group, Stack, Table, Text, Title } from '@mantine/core';
import { IconCircleCheck, IconPlayerPlay } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';

import { api, OWN } from '../api/client';
import { queryClient } from '../api/queries';
import type { SyncEstimate } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';

const MAX_STREAMS = 50;
const OWN_COLUMNS = new Set(['read', 'bytes', 'deleted', 'sampled', 'error']);

export function FirstSync({ connectionId, name }: { connectionId: string; name: string }) {
  const navigate = useNavigate();
  const estimating = useMutation({
    mutationFn: () => api.post<SyncEstimate>(`${OWN}/connections/${connectionId}/estimate`, undefined, { sample: 500 }),
  });
  const starting = useMutation({
    mutationFn: () => api.post(`${OWN}/connections/${connectionId}/sync`),
    onSuccess: async () => {
      void queryClient.invalidateQueries();
      await navigate({ to: `/connections/${connectionId}` });
    },
  });
  return (
    <Stack maw={860}>
      <Alert color="green" variant="light" icon={<IconCircleCheck aria-hidden />} role="status" title={`${name} was created`}>
        <Text size="sm">Start the first sync now, or estimate what it reads and costs. An estimate writes nothing.</Text>
      </Alert>
      <Group>
        <Button leftSection={<IconPlayerPlay size={16} aria-hidden />} loading={starting.isPending} onClick={() => starting.mutate()}>
          Start the first sync
        </Button>
        <Button variant="default" loading={estimating.isPending} onClick={() => estimating.mutate()}>
          Estimate
        </Button>
        <Button variant="subtle" component={Link} to={`/connections/${connectionId}`}>
          Later
        </Button>
      </Group>
      {starting.error && <ErrorNote error={starting.error} />}
      {estimating.error && <ErrorNote error={estimating.error} retry={() => estimating.mutate()} />}
      {estimating.data && <Estimate estimate={estimating.data} />}
    </Stack>
  );
}

const formatFigure = (value: unknown) =>
  typeof value === 'number' ? value.toLocaleString(undefined, { maximumFractionDigits: value < 1 ? 4 : 0 }) : '';

function Estimate({ estimate }: { estimate: SyncEstimate }) {
  const streams = Object.entries(estimate);
  const names = [...new Set(streams.flatMap(([, figures]) => Object.keys(figures)))].filter((key) => !OWN_COLUMNS.has(key));
  const total = (key: string) => streams.reduce((sum, [, figures]) => sum + (typeof figures[key] === 'number' ? (figures[key] as number) : 0), 0);
  const sampled = streams.some(([, figures]) => figures.sampled);
  const columnTitle = (key: string) => (key === 'cost_usd' ? 'US$' : key.replaceAll('_', ' '));
  return (
    <Card withBorder padding={0}>
      <Title order={2} size="h5" p="md" pb={0}>
        Estimate of the first sync
      </Title>
      <Text size="sm" c="dimmed" px="md" pb="xs">
        {sampled ? 'Lower bounds: 500 records of each stream were read.' : 'All records were read.'}
      </Text>
      <Table.ScrollContainer minWidth={320} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'group', 'aria-label': 'Estimate' } }}>
        <Table horizontalSpacing="md" className="numbers">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Stream</Table.Th>
              <Table.Th ta="right">Records</Table.Th>
              {names.map((key) => (
                <Table.Th key={key} ta="right" tt="capitalize">
                  {columnTitle(key)}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {streams.slice(0, MAX_STREAMS).map(([key, figures]) => (
              <Table.Tr key={key}>
                <Table.Td>
                  {key}
                  {figures.error && (
                    <Text size="xs" c="var(--mantine-color-error)">
                      {figures.error}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td ta="right">
                  {formatFigure(figures.read)}
                  {figures.sampled ? '+' : ''}
                </Table.Td>
                {names.map((name) => (
                  <Table.Td key={name} ta="right">
                    {formatFigure(figures[name])}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
          {streams.length > 1 && (
            <Table.Tfoot>
              <Table.Tr>
                <Table.Th>All {streams.length}</Table.Th>
                <Table.Th ta="right">{formatFigure(total('read'))}</Table.Th>
                {names.map((name) => (
                  <Table.Th key={name} ta="right">
                    {formatFigure(total(name))}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Tfoot>
          )}
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}
