/** Records as a table: the fields as columns, values on one line. */
import { Button, Group, Table, Text } from '@mantine/core';
import { useState } from 'react';

import { plural, t } from '../../text';
import classes from '../builder.module.css';

const PART = 50;
const COLUMNS = 12;
const MAX_TEXT = 200;

export function RecordTable({ records, label }: { records: readonly Record<string, unknown>[]; label: string }) {
  const [limit, setLimit] = useState(PART);
  const [whole, setWhole] = useState(false);
  const visible = records.slice(0, limit);
  const all = [...new Set(visible.flatMap((record) => Object.keys(record)))];
  const columns = whole ? all : all.slice(0, COLUMNS);
  return (
    <>
      <div className={classes.scroll} role="region" aria-label={label} tabIndex={0}>
        <Table stickyHeader fz="sm" verticalSpacing={4} horizontalSpacing="sm">
          <Table.Thead>
            <Table.Tr>
              {columns.map((name) => (
                <Table.Th key={name} scope="col">
                  {name}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {visible.map((record, index) => (
              // Records have no key that is known here.
              <Table.Tr key={index}>
                {columns.map((name) => (
                  <Table.Td key={name}>
                    <span className={classes.cell} title={cut(record[name])}>
                      {cut(record[name])}
                    </span>
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
      <Group justify="space-between" gap="xs">
        <Text size="xs" c="dimmed">
          {records.length > limit ? t('The first {limit} of {count} records of this page.', { limit, count: records.length }) : plural(records.length, '{count} record on this page.', '{count} records on this page.')}
        </Text>
        <Group gap="xs">
          {all.length > COLUMNS && (
            <Button size="compact-xs" variant="subtle" onClick={() => setWhole(!whole)}>
              {whole ? t('Fewer columns') : plural(all.length - COLUMNS, '{count} more column', '{count} more columns')}
            </Button>
          )}
          {records.length > limit && (
            <Button size="compact-xs" variant="subtle" onClick={() => setLimit(limit + 4 * PART)}>
              {t('Show more')}
            </Button>
          )}
        </Group>
      </Group>
    </>
  );
}

function cut(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
