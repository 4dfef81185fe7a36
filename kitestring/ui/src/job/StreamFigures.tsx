/** The figures of each stream of an attempt, and their sums. */
import { Paper, Table, Text } from '@mantine/core';

import type { StreamResult } from '../api/schema.gen';
import { count, duration, figureName, size } from '../shell/format';
import { StatusBadge } from '../shell/StatusBadge';

const COUNTS = ['read', 'written', 'unchanged', 'deleted', 'rejected', 'superseded', 'filtered'] as const;
const MAX_STREAMS = 500;

const formatFigure = (name: string, value: number) =>
  name === 'cost_usd' ? value.toFixed(value > 0 && value < 1 ? 4 : 2) : count(Math.round(value));

export function StreamFigures({ streams }: { streams: Record<string, StreamResult> }) {
  const all = Object.entries(streams);
  if (all.length === 0) return null;
  const counts = COUNTS.filter((name) => name === 'read' || name === 'written' || all.some(([, result]) => result[name]));
  const figureNames = [...new Set(all.flatMap(([, result]) => Object.keys(result.figures ?? {})))];
  const sum = (of: (result: StreamResult) => number | undefined) => all.reduce((total, [, result]) => total + (of(result) ?? 0), 0);
  return (
    <Paper withBorder style={{ overflow: 'hidden' }}>
      <Table.ScrollContainer
        minWidth={640}
        scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'group', 'aria-label': 'Figures of the streams' } }}
      >
        <Table verticalSpacing="xs" horizontalSpacing="md" className="numbers">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Stream</Table.Th>
              <Table.Th>Status</Table.Th>
              {[...counts, ...figureNames].map((name) => (
                <Table.Th key={name} ta="right" style={{ whiteSpace: 'nowrap' }}>
                  {figureName(name)}
                </Table.Th>
              ))}
              <Table.Th ta="right">size</Table.Th>
              <Table.Th ta="right">time</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {all.slice(0, MAX_STREAMS).map(([key, result]) => (
              <Table.Tr key={key}>
                <Table.Td maw={320}>
                  <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
                    {key}
                  </Text>
                  {result.error && <Text size="xs">{result.error.message}</Text>}
                </Table.Td>
                <Table.Td>
                  <StatusBadge status={result.status} />
                </Table.Td>
                {counts.map((name) => (
                  <Table.Td key={name} ta="right">
                    {count(result[name] ?? 0)}
                  </Table.Td>
                ))}
                {figureNames.map((name) => (
                  <Table.Td key={name} ta="right">
                    {formatFigure(name, result.figures?.[name] ?? 0)}
                  </Table.Td>
                ))}
                <Table.Td ta="right">{result.bytes ? size(result.bytes) : '–'}</Table.Td>
                <Table.Td ta="right" style={{ whiteSpace: 'nowrap' }}>
                  {result.seconds !== undefined ? duration(result.seconds * 1000) : '–'}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
          {all.length > 1 && (
            <Table.Tfoot>
              <Table.Tr>
                <Table.Th colSpan={2}>All {count(all.length)}</Table.Th>
                {counts.map((name) => (
                  <Table.Th key={name} ta="right">
                    {count(sum((result) => result[name]))}
                  </Table.Th>
                ))}
                {figureNames.map((name) => (
                  <Table.Th key={name} ta="right">
                    {formatFigure(name, sum((result) => result.figures?.[name]))}
                  </Table.Th>
                ))}
                <Table.Th ta="right">{size(sum((result) => result.bytes))}</Table.Th>
                <Table.Th />
              </Table.Tr>
            </Table.Tfoot>
          )}
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}
