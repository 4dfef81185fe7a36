/** The fields of a stream: which are copied, their types, nested ones, and values of real records. */
import { ActionIcon, Badge, Button, Checkbox, Group, Stack, Text, TextInput } from '@mantine/core';
import { IconChevronRight, IconEye } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';

import { api, OWN } from '../api/client';
import type { RecordSample } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { t } from '../text';
import { type FieldNode, idOf, matching, selectedPart, textOf, treeOf, valueAt, withField, withFields } from './fields';
import classes from './streams.module.css';
import { fieldsQuery, requiredFields, type StreamConfig } from './streams';

const MAX_FIELDS = 400;
const SAMPLE = 5;
const MAX_VALUE = 120;

export function FieldList({
  sourceId,
  streamKey,
  chosen,
  embedded,
  editable,
  onChange,
}: {
  sourceId: string;
  streamKey: string;
  chosen: StreamConfig;
  /** Paths of the fields that the destination embeds. */
  embedded: string[];
  editable: boolean;
  onChange: (chosen: StreamConfig) => void;
}) {
  const fields = useQuery(fieldsQuery(sourceId, streamKey));
  const sample = useMutation({
    mutationFn: () => api.ask<RecordSample>(`${OWN}/sources/${sourceId}/read`, { stream: streamKey, limit: SAMPLE }),
  });
  const [searchText, setSearchText] = useState('');
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const tree = useMemo(() => treeOf(fields.data ?? []), [fields.data]);
  if (fields.error) return <ErrorNote error={fields.error} retry={() => void fields.refetch()} />;
  if (!fields.data) return <RowsSkeleton />;
  if (tree.length === 0)
    return (
      <Text size="sm" c="dimmed">
        {t('The source does not list the fields of this stream: all are copied.')}
      </Text>
    );

  const required = requiredFields(chosen);
  const words = searchText.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = matching(tree, words);
  const rows: { node: FieldNode; depth: number }[] = [];
  const flatten = (nodes: FieldNode[], depth: number) => {
    for (const node of nodes) {
      if (rows.length >= MAX_FIELDS) return;
      rows.push({ node, depth });
      if (opened.has(idOf(node.path)) || words.length > 0) flatten(node.children, depth + 1);
    }
  };
  flatten(matches, 0);
  const taken = tree.filter((node) => selectedPart(chosen, node.path) !== 'none').length;

  function toggleOpen(node: FieldNode) {
    const next = new Set(opened);
    if (!next.delete(idOf(node.path))) next.add(idOf(node.path));
    setOpened(next);
  }

  return (
    <Stack gap="xs">
      <Group justify="space-between" gap="xs">
        <Text size="sm" fw={600}>
          {t('Fields')}{' '}
          <Text span size="sm" c="dimmed" fw={400} className="numbers">
            {t('{chosen} of {all}', { chosen: taken, all: tree.length })}
          </Text>
        </Text>
        {editable && (
          <Group gap="xs">
            <Button
              size="compact-sm"
              variant="default"
              leftSection={<IconEye size={14} aria-hidden />}
              loading={sample.isPending}
              onClick={() => sample.mutate()}
            >
              {t('Sample values')}
            </Button>
            <Button size="compact-sm" variant="default" onClick={() => onChange(withFields(chosen, tree, tree.map((node) => node.path)))}>
              {t('All')}
            </Button>
            <Button
              size="compact-sm"
              variant="default"
              disabled={required.size === 0}
              onClick={() => onChange(withFields(chosen, tree, tree.filter((node) => required.has(node.name)).map((node) => node.path)))}
            >
              {t('Key and cursor only')}
            </Button>
          </Group>
        )}
      </Group>
      {fields.data.length > 12 && (
        <TextInput
          size="xs"
          aria-label={t('Search the fields')}
          placeholder={t('Search the fields')}
          value={searchText}
          onChange={(event) => setSearchText(event.currentTarget.value)}
        />
      )}
      {sample.error && <ErrorNote error={sample.error} retry={() => sample.mutate()} />}
      {sample.data?.records.length === 0 && (
        <Text size="sm" role="status">
          {t('The stream has no records now.')}
        </Text>
      )}
      <div className={classes.fields} role="group" aria-label={t('Fields of {stream}', { stream: streamKey })} tabIndex={0}>
        {rows.map(({ node, depth }) => {
          const part = selectedPart(chosen, node.path);
          const fixed = depth === 0 && required.has(node.name);
          const value = sample.data && sampleOf(sample.data, node.path);
          const name = textOf(node.path);
          return (
            <div key={idOf(node.path)} className={classes.field}>
              <Group gap={4} wrap="nowrap" pl={depth * 20} miw={0}>
                <Checkbox
                  size="xs"
                  label={
                    <span title={node.field.description || undefined} style={{ overflowWrap: 'anywhere' }}>
                      {node.name}
                    </span>
                  }
                  aria-label={name}
                  checked={part === 'all' || fixed}
                  indeterminate={part === 'some' && !fixed}
                  disabled={fixed || !editable}
                  onChange={(event) => onChange(withField(chosen, tree, node.path, event.currentTarget.checked))}
                />
                {node.children.length > 0 && words.length === 0 && (
                  <ActionIcon
                    size="sm"
                    variant="subtle"
                    color="gray"
                    aria-expanded={opened.has(idOf(node.path))}
                    aria-label={t('Fields inside {field}', { field: name })}
                    onClick={() => toggleOpen(node)}
                  >
                    <IconChevronRight size={14} aria-hidden style={{ transform: opened.has(idOf(node.path)) ? 'rotate(90deg)' : undefined }} />
                  </ActionIcon>
                )}
              </Group>
              <Group gap={6} wrap="nowrap">
                <Text size="xs" c="dimmed" ff="monospace" style={{ whiteSpace: 'nowrap' }}>
                  {node.field.format || node.field.types.join(' | ') || t('any')}
                </Text>
                {fixed && (
                  <Badge size="xs" variant="default" tt="none">
                    {t('required')}
                  </Badge>
                )}
                {embedded.includes(name) && (
                  <Badge size="xs" variant="light" tt="none">
                    {t('embedded')}
                  </Badge>
                )}
              </Group>
              {value !== undefined && (
                <Text size="xs" ff="monospace" className={classes.sample} title={value.slice(0, 1000)}>
                  {value.slice(0, MAX_VALUE)}
                </Text>
              )}
            </div>
          );
        })}
        {rows.length >= MAX_FIELDS && (
          <Text size="xs" c="dimmed" p={6}>
            {t('Search to find the rest.')}
          </Text>
        )}
      </div>
    </Stack>
  );
}

/** The first value at a path that is there, as text. */
function sampleOf(sample: RecordSample, path: string[]): string | undefined {
  const values = sample.records.map((record) => valueAt(record, path));
  const value = values.find((candidate) => candidate !== undefined && candidate !== null && candidate !== '') ?? values[0];
  return value === undefined ? undefined : typeof value === 'string' ? value : JSON.stringify(value);
}
