/** What the requests of a stream are repeated for: the values of a list, or the records of a parent stream. */
import { Alert, Button, Code, Group, Select, Stack, Text } from '@mantine/core';

import { t } from '../../text';
import type { Doc, Path } from '../document/document';
import { isObject } from '../document/layout';
import { ComponentFields } from './ComponentForm';
import { useField, useForm } from './context';
import { Inherited } from './Inherited';
import { newComponent } from './kinds';
import { YamlField } from './YamlField';

const KINDS = ['ListPartitionRouter', 'SubstreamPartitionRouter'] as const;

interface Parent {
  name: string;
  reference: string;
  /** The field by which its children ask for its records. */
  key: string;
}

/** The first field of a primary key; `id` where none is declared. */
function keyOf(primaryKey: unknown): string {
  let key = primaryKey;
  while (Array.isArray(key)) key = key[0];
  return typeof key === 'string' && key !== '' ? key : 'id';
}

/** The streams that can be parents, with the references to them. */
export function parents(doc: Doc, stream: Path): Parent[] {
  const streams: Parent[] = [];
  for (let index = 0; index < doc.count(['streams']); index++) {
    const name = doc.get(['streams', index, 'name']);
    if (typeof name !== 'string' || index === stream.at(-1)) continue;
    const written = doc.written(['streams', index]);
    const target = typeof written === 'string' && written.startsWith('#/') ? written : isObject(written) && typeof written.$ref === 'string' && Object.keys(written).length === 1 ? written.$ref : `#/streams/${index}`;
    streams.push({ name, reference: target, key: keyOf(doc.get(['streams', index, 'primary_key'])) });
  }
  return streams;
}

/** A router for the records of a parent. */
export function parentRouter({ name, reference, key }: Parent): Record<string, unknown> {
  const singular = name.replace(/ies$/, 'y').replace(/s$/, '');
  return { type: 'SubstreamPartitionRouter', parent_stream_configs: [{ type: 'ParentStreamConfig', stream: { $ref: reference }, parent_key: key, partition_field: `${singular}_${key.startsWith(`${singular}_`) ? key.slice(singular.length + 1) : key}` }] };
}

/** A router's parent changed to another one. The key and the name of the value follow, unless another one was chosen for them. */
export function withParent(config: Record<string, unknown>, former: Parent | undefined, next: Parent): Record<string, unknown> {
  const proposed = (parent: Parent) => (parentRouter(parent).parent_stream_configs as Record<string, unknown>[])[0]!;
  const kept = former && proposed(former);
  const followed = Object.fromEntries(['parent_key', 'partition_field'].map((name) => [name, !kept || config[name] === kept[name] ? proposed(next)[name] : config[name]]));
  return { ...config, stream: { $ref: next.reference }, ...followed };
}

/** `path`: the `partition_router` of a retriever; `stream`: that of the stream around. */
export function PartitionFields({ path, stream }: { path: Path; stream: Path }) {
  const { doc, schema } = useForm();
  const { value, set, remove, disabled, error } = useField(path);
  const type = doc.get([...path, 'type']);
  const isList = Array.isArray(value);
  const kind = value === undefined || value === null ? 'none' : KINDS.find((name) => name === type) ?? 'other';
  const choices = parents(doc, stream);
  const config: Path = [...path, 'parent_stream_configs', 0];
  const parent = String(doc.get([...config, 'stream', 'name']) ?? '');
  const field = doc.get([...config, 'partition_field']) ?? doc.get([...path, 'cursor_field']);
  return (
    <Stack gap="sm">
      <Select
        label={t('Repeat the requests for')}
        error={error}
        disabled={disabled}
        maw={420}
        allowDeselect={false}
        data={[
          { value: 'none', label: t('Nothing: one list') },
          { value: 'ListPartitionRouter', label: t('Each value of a list') },
          { value: 'SubstreamPartitionRouter', label: t('Each record of a parent stream'), disabled: choices.length === 0 && kind !== 'SubstreamPartitionRouter' },
          ...(kind === 'other' ? [{ value: 'other', label: t('Something else') }] : []),
        ]}
        value={kind}
        onChange={(next) => {
          if (next === null || next === kind || next === 'other') return;
          if (next === 'none') return remove();
          if (next === 'SubstreamPartitionRouter') return set(parentRouter(choices[0]!));
          set({ ...newComponent(schema, 'ListPartitionRouter'), cursor_field: 'item', values: ['a', 'b'] });
        }}
      />
      {kind === 'SubstreamPartitionRouter' && doc.count([...path, 'parent_stream_configs']) === 1 ? (
        <>
          <Select
            label={t('Parent stream')}
            disabled={disabled}
            maw={420}
            searchable
            allowDeselect={false}
            data={[...new Set([...choices.map((choice) => choice.name), ...(parent ? [parent] : [])])]}
            value={parent || null}
            onChange={(next) => {
              const choice = choices.find((candidate) => candidate.name === next);
              const current = doc.get(config);
              const former = choices.find((candidate) => candidate.name === parent);
              if (choice && isObject(current)) set({ ...(value as object), parent_stream_configs: [withParent(current, former, choice)] });
            }}
          />
          <ComponentFields path={config} except={['stream']} />
        </>
      ) : isList ? (
        <YamlField path={path} label={t('Routers')} name={t('Routers')} />
      ) : (
        kind !== 'none' && (
          <Inherited path={path}>
            <ComponentFields path={path} />
          </Inherited>
        )
      )}
      {kind !== 'none' && typeof field === 'string' && field !== '' && (
        <ValueOfPartition field={field} requester={[...stream, 'retriever', 'requester']} />
      )}
    </Stack>
  );
}

/** Whether a request uses the value of its partition: a template reads it, as `stream_slice` too, or the router puts it there. */
export function usesPartition(requester: unknown, router: unknown, field: string): boolean {
  const text = JSON.stringify(requester ?? {});
  const name = field.replace(/\W/g, '\\$&');
  return text.includes('stream_partition') || new RegExp(`stream_slice\\W+${name}\\b`).test(text) || JSON.stringify(router ?? {}).includes('request_option');
}

/** How a request gets the value of its partition. Without that, each partition would send the same request. */
function ValueOfPartition({ field, requester }: { field: string; requester: Path }) {
  const { doc, edit, disabled, where } = useForm();
  const template = `{{ stream_partition['${field}'] }}`;
  const path = doc.get([...requester, 'path']);
  const used = usesPartition(doc.get(requester), doc.get([...requester.slice(0, -1), 'partition_router']), field);
  const [before, after] = t('Write {template} into the path or a parameter of the request: it becomes the value.', { template: '\0' }).split('\0');
  const text = (
    <Text size="sm" c={used ? 'dimmed' : undefined}>
      {before}
      <Code>{template}</Code>
      {after}
    </Text>
  );
  if (used) return text;
  return (
    <Alert color="kite" variant="light" p="sm" title={t('The request does not use the value yet')}>
      <Stack gap="xs">
        {text}
        {typeof path === 'string' && (
          <Group>
            <Button size="xs" variant="default" disabled={disabled} onClick={() => edit(doc.set([...requester, 'path'], `${path.replace(/\/$/, '')}/${template}`, { where }))}>
              {t('Put it at the end of the path')}
            </Button>
          </Group>
        )}
      </Stack>
    </Alert>
  );
}
