/** Rows as a table, and as cards on a phone. A click on a value filters by it, the first column opens the row. */
import { Badge, Box, Button, Card, Group, Stack, Table, Text, UnstyledButton } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useState } from 'react';

import { plural, t } from '../text';
import type { Row } from './data';
import classes from './data.module.css';
import { isChunk, titleOf, TITLES } from './record';
import { inline } from './Value';

const COLUMNS = 8;
const CARD_FIELDS = 4;

interface Props {
  rows: readonly Row[];
  /** All fields of the stream, in order, if the destination knows them. */
  fields: readonly string[];
  label: string;
  open: (row: Row, index: number) => void;
  filter: (field: string, value: unknown) => void;
}

export function RowTable({ rows, fields, label, open, filter }: Props) {
  const phone = useMediaQuery('(max-width: 48em)', undefined, { getInitialValueInEffect: false });
  const [whole, setWhole] = useState(false);
  const columns = columnsOf(rows, fields);
  const chunks = rows.some(isChunk);
  // The first column opens the row: the text of a chunk, the title of a record.
  const first = chunks ? undefined : (TITLES.find((name) => columns.includes(name)) ?? columns[0]);
  const others = columns.filter((name) => name !== first);
  const visible = whole ? others : others.slice(0, COLUMNS);
  if (phone) {
    return (
      <Stack component="ul" gap="xs" p={0} m={0} style={{ listStyle: 'none' }} aria-label={label}>
        {rows.map((row, index) => (
          <Card key={keyOfRow(row, index)} component="li" withBorder padding="sm">
            <RowCard row={row} columns={columns} open={() => open(row, index)} />
          </Card>
        ))}
      </Stack>
    );
  }
  return (
    <>
      <Box className={classes.scroll} role="region" aria-label={label} tabIndex={0}>
        <Table highlightOnHover stickyHeader className={classes.rows} verticalSpacing={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">{first ?? t('Text')}</Table.Th>
              {visible.map((name) => (
                <Table.Th key={name} scope="col">
                  {name}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row, index) => (
              <Table.Tr key={keyOfRow(row, index)} data-deleted={row.deleted || undefined}>
                <Table.Td className={chunks ? classes.text : classes.first}>
                  <Opener row={row} title={first === undefined ? nameOf(row) : inline(row.values[first]) || t('Open')} open={() => open(row, index)} />
                </Table.Td>
                {visible.map((name) => (
                  <Table.Td key={name}>
                    <Cell name={name} row={row} filter={filter} />
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Box>
      {others.length > COLUMNS && (
        <Group justify="flex-end">
          <Button size="compact-sm" variant="subtle" onClick={() => setWhole(!whole)}>
            {whole ? t('Fewer columns') : plural(others.length - COLUMNS, '{count} more column', '{count} more columns')}
          </Button>
        </Group>
      )}
    </>
  );
}

function Opener({ row, title, open }: { row: Row; title: string; open: () => void }) {
  return (
    <UnstyledButton onClick={open} className={classes.opener}>
      <Text size="sm" fw={500} lineClamp={2} style={{ overflowWrap: 'anywhere' }}>
        {title}
      </Text>
      {row.deleted && <Deleted />}
    </UnstyledButton>
  );
}

/** By keyboard the same is done in the panel of the row: a table of buttons would be a hundred stops. */
function Cell({ name, row, filter }: { name: string; row: Row; filter: (field: string, value: unknown) => void }) {
  const value = row.values[name];
  if (value === null || value === undefined) return null;
  const text = (
    <Text span size="sm" className={typeof value === 'number' ? `numbers ${classes.line}` : classes.line}>
      {inline(value)}
    </Text>
  );
  if (!canFilter(row, name)) return text;
  return (
    <UnstyledButton tabIndex={-1} className={classes.value} title={t('Show only {field} = {value}', { field: name, value: inline(value).slice(0, 200) })} onClick={() => filter(name, value)}>
      {text}
    </UnstyledButton>
  );
}

function RowCard({ row, columns, open }: { row: Row; columns: readonly string[]; open: () => void }) {
  const title = nameOf(row);
  const few = columns.filter((name) => inline(row.values[name]) !== '' && inline(row.values[name]) !== title).slice(0, CARD_FIELDS);
  return (
    <UnstyledButton onClick={open} w="100%">
      <Text size="sm" fw={isChunk(row) ? 400 : 600} lineClamp={3} style={{ overflowWrap: 'anywhere' }}>
        {title}
      </Text>
      {row.deleted && <Deleted />}
      {few.map((name) => (
        <Text key={name} size="xs" c="dimmed" truncate>
          {name}: {inline(row.values[name])}
        </Text>
      ))}
    </UnstyledButton>
  );
}

export function Deleted() {
  return (
    <Badge color="gray" variant="light" tt="none" radius="sm">
      {t('Deleted')}
    </Badge>
  );
}

/** A filter compares scalars, and the items of a list; a value that was cut or rounded is none. */
export function canFilter(row: Row, name: string): boolean {
  const value = row.values[name];
  if (row.cut.includes(name) || row.texts.includes(name)) return false;
  if (Array.isArray(value)) return value.length > 0 && typeof value[0] !== 'object';
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function nameOf(row: Row): string {
  const text = isChunk(row) ? row.text : undefined;
  const values = Object.values(row.values).filter((value) => value !== null && typeof value !== 'object');
  return text || titleOf({ id: values[0] ?? (isChunk(row) ? row.recordId : ''), ...row.values }) || t('Without values');
}

function keyOfRow(row: Row, index: number): string {
  return isChunk(row) ? row.chunkId : String(index);
}

/** The fields of these rows, those with values first; Airbyte's own and the marks come last. */
export function columnsOf(rows: readonly Row[], fields: readonly string[]): string[] {
  const names = [...new Set([...fields, ...rows.flatMap((row) => Object.keys(row.values))])];
  const rank = (name: string) => (name.startsWith('_') ? 2 : 0) + (rows.some((row) => inline(row.values[name]) !== '') ? 0 : 1);
  return names.map((name, place) => ({ name, place, rank: rank(name) })).sort((left, right) => left.rank - right.rank || left.place - right.place).map(({ name }) => name);
}
