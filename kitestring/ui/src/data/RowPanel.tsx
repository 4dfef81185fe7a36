/** A row at the side of the page: its fields; of a chunk also its text, the chunks of its record, and its neighbours. */
import { ActionIcon, Anchor, Button, Drawer, Group, Stack, Tabs, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconExternalLink, IconFilter } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import type { DataChunk } from '../api/schema.gen';
import { t } from '../text';
import { ChunksOfRecord } from './ChunksOfRecord';
import { type Row, wholeRowQuery } from './data';
import { Neighbours } from './Neighbours';
import { isChunk, linkOf, titleOf } from './record';
import { canFilter, Deleted } from './RowTable';
import { SimilarRecords } from './SimilarRecords';
import { Value } from './Value';

export interface OpenRow {
  row: Row;
  /** The place among all rows of the stream, and the request they came with: to ask for long values. */
  offset?: number;
  body?: Record<string, unknown>;
}

interface Props {
  destinationId: string;
  opened: OpenRow | null;
  close: () => void;
  show: (row: DataChunk) => void;
  filter: (field: string, value: unknown) => void;
}

export function RowPanel({ destinationId, opened, close, show, filter }: Props) {
  const phone = useMediaQuery('(max-width: 48em)', undefined, { getInitialValueInEffect: false });
  return (
    <Drawer
      opened={opened !== null}
      onClose={close}
      position="right"
      size={phone ? '100%' : 560}
      title={opened ? headingOf(opened.row) : ''}
      closeButtonProps={{ 'aria-label': t('Close') }}
      styles={{ title: { overflowWrap: 'anywhere', fontWeight: 650 } }}
    >
      {opened && <Content destinationId={destinationId} opened={opened} show={show} filter={filter} />}
    </Drawer>
  );
}

function Content({ destinationId, opened, show, filter }: { destinationId: string; opened: OpenRow } & Pick<Props, 'show' | 'filter'>) {
  const { row } = opened;
  const link = linkOf(row.values);
  return (
    <Stack gap="md">
      <Group gap="xs">
        {link && (
          <Button component="a" href={link} target="_blank" rel="noreferrer noopener" size="xs" variant="light" rightSection={<IconExternalLink size={14} aria-hidden />}>
            {t('Open at the source')}
          </Button>
        )}
        {row.deleted && <Deleted />}
      </Group>
      {isChunk(row) ? <ChunkTabs destinationId={destinationId} chunk={row} show={show} filter={filter} /> : <Fields destinationId={destinationId} opened={opened} filter={filter} />}
    </Stack>
  );
}

function ChunkTabs({ destinationId, chunk, show, filter }: { destinationId: string; chunk: DataChunk } & Pick<Props, 'show' | 'filter'>) {
  const [tab, setTab] = useState<string | null>('record');
  return (
    <Tabs value={tab} onChange={setTab} keepMounted={false}>
      <Tabs.List mb="md">
        <Tabs.Tab value="record">{t('Record')}</Tabs.Tab>
        <Tabs.Tab value="neighbours">{t('Neighbours')}</Tabs.Tab>
        <Tabs.Tab value="similar">{t('Similar records')}</Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="record">
        <Stack gap="lg">
          <ChunksOfRecord destinationId={destinationId} chunk={chunk} show={show} />
          <FieldList row={chunk} filter={filter} />
        </Stack>
      </Tabs.Panel>
      <Tabs.Panel value="neighbours">
        <Neighbours destinationId={destinationId} chunk={chunk} show={show} />
      </Tabs.Panel>
      <Tabs.Panel value="similar">
        <SimilarRecords destinationId={destinationId} chunk={chunk} show={show} />
      </Tabs.Panel>
    </Tabs>
  );
}

/** The fields of a row of a table. Values that were cut in the list are asked for whole. */
function Fields({ destinationId, opened, filter }: { destinationId: string; opened: OpenRow; filter: Props['filter'] }) {
  const { row, body, offset } = opened;
  const whole = useQuery({ ...wholeRowQuery(destinationId, body ?? {}, offset ?? 0, row), enabled: row.cut.length > 0 && body !== undefined });
  return (
    <>
      {row.cut.length > 0 && !whole.data && !whole.isFetching && (
        <Text size="sm" c="dimmed">
          {t('Long values are cut: {fields}.', { fields: row.cut.join(', ') })}
        </Text>
      )}
      <FieldList row={whole.data ?? row} filter={filter} />
    </>
  );
}

function FieldList({ row, filter }: { row: Row; filter: Props['filter'] }) {
  const entries = Object.entries(row.values).sort(([left], [right]) => Number(left.startsWith('_')) - Number(right.startsWith('_')));
  return (
    <Stack component="dl" gap="sm" m={0}>
      {entries.map(([name, value]) => (
        <div key={name}>
          <Group component="dt" gap={4} wrap="nowrap" justify="space-between">
            <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
              {name}
            </Text>
            {canFilter(row, name) && (
              <ActionIcon variant="subtle" color="gray" size="sm" aria-label={t('Filter by {field}', { field: name })} onClick={() => filter(name, value)}>
                <IconFilter size={14} aria-hidden />
              </ActionIcon>
            )}
          </Group>
          <dd style={{ margin: 0 }}>
            {typeof value === 'string' && /^https?:\/\/\S+$/.test(value) ? (
              <Anchor href={value} target="_blank" rel="noreferrer noopener" size="sm" style={{ overflowWrap: 'anywhere' }}>
                {value}
              </Anchor>
            ) : (
              <Value value={value} />
            )}
          </dd>
        </div>
      ))}
    </Stack>
  );
}

function headingOf(row: Row): string {
  const recordId = isChunk(row) ? row.recordId : undefined;
  return titleOf({ id: recordId ?? row.values.id ?? row.values._id ?? t('Record'), ...row.values });
}
