/** Usage: what each connection moved and cost, by month. */
import { Button, Group, Paper, SegmentedControl, Select, Stack, Text } from '@mantine/core';
import { IconChartBar, IconDownload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import list from '../list/list.module.css';
import { useLinkClicks } from '../list/useLinkClicks';
import { useWorkspace } from '../session/session';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { count } from '../shell/format';
import { PageHeader } from '../shell/PageHeader';
import { plural, t } from '../text';
import { MonthBars, Spark } from './MonthBars';
import { csvOf, lastMonths, type Measure, MEASURES, monthText, monthTotals, rowsOf, usageQuery, valueText } from './usage';

const route = getRouteApi('/shell/usage');
const ROWS = 100;

const LABELS: Record<Measure, () => string> = {
  written: () => t('Records'),
  chunks: () => t('Chunks'),
  tokens: () => t('Tokens'),
  costUsd: () => t('Cost'),
};
const NOTES: Record<Measure, () => string> = {
  written: () => t('Records written to destinations.'),
  chunks: () => t('Chunks that were embedded. Chunks that did not change are not.'),
  tokens: () => t('Tokens that were embedded.'),
  costUsd: () => t('The cost of the embeddings in US$, from the price of each model.'),
};

export function UsagePage() {
  const { workspaceId } = useWorkspace();
  const { measure: chosen, months: span = 6 } = route.useSearch();
  const navigate = route.useNavigate();
  const measure = MEASURES.find((name) => name === chosen) ?? 'written';
  const [everything, setEverything] = useState(false);
  const months = useMemo(() => lastMonths(Math.min(span, 36), Date.now()), [span]);
  const usage = useQuery(usageQuery(workspaceId, months));
  const rows = useMemo(() => rowsOf(usage.data ?? [], months, measure), [usage.data, months, measure]);
  const follow = useLinkClicks();
  const unpriced = usage.data?.reduce((sum, entry) => sum + entry.unpricedTokens, 0) ?? 0;
  const visibleRows = everything ? rows : rows.slice(0, ROWS);
  const total = rows.reduce((sum, row) => sum + row.total, 0);

  function download() {
    const file = new Blob([csvOf(usage.data ?? [])], { type: 'text/csv' });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(file);
    link.download = `usage-${months[0]}-${months.at(-1)}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  return (
    <>
      <PageHeader title={t('Usage')} note={t('Volume and cost of each connection by month, in UTC. A job counts when it has ended.')}>
        <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} disabled={!usage.data?.length} onClick={download}>
          {t('Download CSV')}
        </Button>
      </PageHeader>
      {usage.error && <ErrorNote error={usage.error} retry={() => void usage.refetch()} />}
      {usage.isPending && <RowsSkeleton />}
      {usage.data?.length === 0 && (
        <Paper withBorder>
          <EmptyState icon={<IconChartBar size={28} aria-hidden />} title={t('Nothing was synced in these months')}>
            {t('After the first sync, this page shows its records, chunks, tokens and cost.')}
          </EmptyState>
        </Paper>
      )}
      {usage.data && usage.data.length > 0 && (
        <Stack>
          <Group justify="space-between" gap="xs">
            <SegmentedControl
              aria-label={t('Measure')}
              value={measure}
              data={MEASURES.map((value) => ({ value, label: LABELS[value]() }))}
              onChange={(value) => void navigate({ search: (previous) => ({ ...previous, measure: value }), replace: true })}
            />
            <Select
              aria-label={t('Months')}
              data={[3, 6, 12].map((number) => ({ value: String(number), label: plural(number, '{count} month', '{count} months') }))}
              value={String(span)}
              allowDeselect={false}
              onChange={(value) => void navigate({ search: (previous) => ({ ...previous, months: Number(value) }), replace: true })}
              w={140}
            />
          </Group>
          <Paper withBorder p="md">
            <Group justify="space-between" align="baseline" mb="md">
              <Text size="sm" c="dimmed">
                {NOTES[measure]()}
              </Text>
              <Text fw={650} className="numbers">
                {t('{total} in all', { total: valueText(measure, total) })}
              </Text>
            </Group>
            <MonthBars months={months} values={monthTotals(rows, months)} measure={measure} label={LABELS[measure]()} />
            {measure === 'costUsd' && unpriced > 0 && (
              <Text size="sm" mt="md" role="note">
                {t('The cost of {number} tokens is not known and not included: their models have no price.', { number: count(unpriced) })}
              </Text>
            )}
          </Paper>
          <Paper withBorder style={{ overflow: 'hidden' }} onClick={follow}>
            <table role="table" className={list.table} aria-label={t('Usage by connection')}>
              <thead role="rowgroup">
                <tr role="row">
                  <th role="columnheader" scope="col">
                    {t('Connection')}
                  </th>
                  <th role="columnheader" scope="col" className={list.narrow}>
                    {`${monthText(months[0]!)} – ${monthText(months.at(-1)!)}`}
                  </th>
                  <th role="columnheader" scope="col" className={list.number}>
                    {monthText(months.at(-1)!)}
                  </th>
                  <th role="columnheader" scope="col" className={list.number}>
                    {t('Total')}
                  </th>
                </tr>
              </thead>
              <tbody role="rowgroup">
                {visibleRows.map((row) => (
                  <tr key={row.connectionId} role="row" className={list.row} data-row={row.connectionId}>
                    <td role="cell" className={list.name}>
                      {row.deleted ? (
                        <span className={list.dim}>{t('{name} (deleted)', { name: row.name ?? row.connectionId })}</span>
                      ) : (
                        <a className={list.link} href={`/connections/${row.connectionId}`}>
                          {row.name}
                        </a>
                      )}
                    </td>
                    <td role="cell" className={list.narrow}>
                      <Spark values={row.values} />
                    </td>
                    <td role="cell" className={`${list.number} numbers`}>
                      <span className={list.label}>{monthText(months.at(-1)!)}</span>
                      {valueText(measure, row.values.at(-1) ?? 0)}
                    </td>
                    <td role="cell" className={`${list.number} numbers`}>
                      <span className={list.label}>{t('Total')}</span>
                      {valueText(measure, row.total)}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Paper>
          {rows.length > visibleRows.length && (
            <Button variant="default" onClick={() => setEverything(true)} mx="auto">
              {plural(rows.length, 'Show all {count} connections', 'Show all {count} connections')}
            </Button>
          )}
        </Stack>
      )}
    </>
  );
}
