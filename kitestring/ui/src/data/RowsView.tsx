/** The rows of a stream by page, with counts. */
import { Group, Pagination, Paper, Stack, Text } from '@mantine/core';
import { IconTable } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';

import type { DataRows, DataStream } from '../api/schema.gen';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { count } from '../shell/format';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { useExistingPage } from '../shell/useExistingPage';
import { plural, t } from '../text';
import { useWritingJob, WritingNote } from './busy';
import { CopyCode } from './CopyCode';
import { type DataParams, dataPath, keyOf, PAGE, type Row, rowsBody, rowsQuery } from './data';
import type { OpenRow } from './RowPanel';
import { RowTable } from './RowTable';

interface Props {
  destinationId: string;
  stream: DataStream;
  params: DataParams;
  turn: (page: number) => void;
  open: (opened: OpenRow) => void;
  filter: (field: string, value: unknown) => void;
}

export function RowsView({ destinationId, stream, params, turn, open, filter }: Props) {
  const rows = useQuery(rowsQuery(destinationId, stream, params));
  const body = rowsBody(stream, params);
  const page = params.page ?? 1;
  const total = rows.data?.total ?? null;
  useExistingPage(page, total === null ? undefined : Math.ceil(total / PAGE), turn);
  const writing = useWritingJob(rows);
  if (!rows.data && writing !== undefined) return <WritingNote job={writing} />;
  if (rows.error && writing === undefined) return <ErrorNote error={rows.error} retry={() => void rows.refetch()} />;
  if (!rows.data) return <RowsSkeleton label={t('Loading the rows')} />;
  const pages = rows.data.total === null ? page + (rows.data.rows.length === PAGE ? 1 : 0) : Math.ceil(rows.data.total / PAGE);
  const openRow = (row: Row, index: number) => open({ row, body, offset: (page - 1) * PAGE + index });
  return (
    <Stack gap="sm" style={rows.isPlaceholderData ? { opacity: 0.6 } : undefined} aria-busy={rows.isPlaceholderData}>
      {writing !== undefined && <WritingNote job={writing} old />}
      <Group justify="space-between" gap="xs">
        <Text size="sm" c="dimmed" role="status">
          {counted(rows.data, page, 'chunkId' in (rows.data.rows[0] ?? {}))}
        </Text>
        <CopyCode path={dataPath(destinationId, 'rows')} body={body} list="rows" />
      </Group>
      {rows.data.rows.length === 0 ? (
        <Paper withBorder>
          <EmptyState icon={<IconTable size={28} aria-hidden />} title={params.where ? t('No row passes the filter') : t('No rows')}>
            {params.where ? t('Remove a condition to see more.') : page > 1 ? t('There are fewer pages now.') : t('The stream is empty at the destination.')}
          </EmptyState>
        </Paper>
      ) : (
        <RowTable rows={rows.data.rows} fields={rows.data.fields} label={t('Rows of {stream}', { stream: keyOf(stream) })} open={openRow} filter={filter} />
      )}
      {pages > 1 && (
        <Pagination
          value={page}
          total={pages}
          onChange={turn}
          size="sm"
          siblings={1}
          getControlProps={(control) => ({ 'aria-label': { first: t('First page'), previous: t('Previous page'), next: t('Next page'), last: t('Last page') }[control] })}
          getItemProps={(number) => ({ 'aria-label': t('Page {number}', { number }) })}
        />
      )}
    </Stack>
  );
}

/** `chunks`: of a vector store, where a record is one row or more. */
function counted(answer: DataRows, page: number, chunks: boolean): string {
  const first = (page - 1) * PAGE + 1;
  const last = first + answer.rows.length - 1;
  if (answer.rows.length === 0) return t('0 rows');
  const range = { first: count(first), last: count(last) };
  if (answer.total === null) return t('{first}–{last}', range);
  if (answer.countedTo !== null) return t(chunks ? '{first}–{last} of more than {total} chunks' : '{first}–{last} of more than {total} rows', { ...range, total: count(answer.countedTo) });
  const [singular, several] = chunks ? (['{first}–{last} of {total} chunk', '{first}–{last} of {total} chunks'] as const) : (['{first}–{last} of {total} row', '{first}–{last} of {total} rows'] as const);
  return plural(answer.total, singular, several, { ...range, total: count(answer.total) });
}
