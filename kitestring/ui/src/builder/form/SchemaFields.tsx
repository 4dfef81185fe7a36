/** The fields of a record and their types. Fields within fields are edited as YAML. */
import { ActionIcon, Button, Group, Select, Stack, Text, TextInput } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';

import { plural, t } from '../../text';
import type { Path } from '../document/document';
import { isObject } from '../document/layout';
import { ComponentFields } from './ComponentForm';
import { useField, useForm } from './context';
import { Inherited } from './Inherited';
import { YamlField } from './YamlField';

const TYPES = ['string', 'integer', 'number', 'boolean', 'object', 'array', 'date-time', 'date'] as const;
/** More fields than these are shown as YAML first. */
const MOST_ROWS = 60;

/** `path`: the `schema_loader` of a stream. */
export function SchemaFields({ path }: { path: Path }) {
  const { doc } = useForm();
  const { value, set, disabled } = useField(path);
  if (value === undefined || value === null) {
    return (
      <Stack gap="xs" align="flex-start">
        <Text size="sm" c="dimmed">
          {t('Nothing is declared: the fields are those of the records that come.')}
        </Text>
        <Button size="xs" variant="default" disabled={disabled} onClick={() => set({ type: 'InlineSchemaLoader', schema: { type: 'object', properties: {} } })}>
          {t('Declare fields')}
        </Button>
      </Stack>
    );
  }
  if (Array.isArray(value)) return <YamlField path={path} label={t('Schema')} name={t('Schema')} />;
  const isInline = doc.get([...path, 'type']) === 'InlineSchemaLoader';
  return <Inherited path={path}>{isInline ? <Properties path={[...path, 'schema']} /> : <ComponentFields path={path} />}</Inherited>;
}

/** A type as this form names it; undefined for what only YAML can say. */
function typeOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const types = (Array.isArray(value.type) ? value.type : [value.type]).filter((type) => type !== 'null');
  if (types.length !== 1 || typeof types[0] !== 'string') return undefined;
  return types[0] === 'string' && (value.format === 'date-time' || value.format === 'date') ? value.format : types[0];
}

/** The field with another type: what else it says stays. */
function retyped(value: unknown, type: string): Record<string, unknown> {
  const { format: _, ...rest } = isObject(value) ? value : {};
  const isDate = type === 'date-time' || type === 'date';
  const plain = isDate ? 'string' : type;
  const nullable = !isObject(value) || (Array.isArray(value.type) && value.type.includes('null'));
  return { ...rest, type: nullable ? ['null', plain] : plain, ...(isDate && { format: type }) };
}

function Properties({ path }: { path: Path }) {
  const { doc, edit, where } = useForm();
  const { disabled } = useField(path);
  const [asYaml, setAsYaml] = useState(doc.keys([...path, 'properties']).length > MOST_ROWS);
  const [draft, setDraft] = useState('');
  const names = doc.keys([...path, 'properties']);
  const add = () => {
    if (draft.trim() === '' || names.includes(draft)) return;
    edit(doc.set([...path, 'properties', draft], { type: ['null', 'string'] }, { where }));
    setDraft('');
  };
  return (
    <Stack gap={6}>
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          {plural(names.length, '{count} field', '{count} fields')}
        </Text>
        <Button size="compact-xs" variant="subtle" onClick={() => setAsYaml(!asYaml)}>
          {asYaml ? t('Show as a table') : t('Show as YAML')}
        </Button>
      </Group>
      {asYaml ? (
        <YamlField path={path} label={undefined} name={t('Schema')} />
      ) : (
        <>
          {names.map((name) => (
            <Property key={name} path={[...path, 'properties', name]} name={name} disabled={disabled} />
          ))}
          <Group gap={6} wrap="nowrap">
            <TextInput
              size="sm"
              flex={1}
              maw={300}
              disabled={disabled}
              aria-label={t('Name of a new field')}
              placeholder={t('Name of a new field')}
              value={draft}
              onChange={(event) => setDraft(event.currentTarget.value)}
              onKeyDown={(event) => event.key === 'Enter' && add()}
            />
            <Button size="xs" variant="default" disabled={disabled || draft.trim() === ''} leftSection={<IconPlus size={14} aria-hidden />} onClick={add}>
              {t('Add')}
            </Button>
          </Group>
        </>
      )}
    </Stack>
  );
}

function Property({ path, name, disabled }: { path: Path; name: string; disabled: boolean }) {
  const { value, set, remove } = useField(path);
  const type = typeOf(value);
  return (
    <Group gap={6} wrap="nowrap">
      <Text size="sm" ff="monospace" flex={1} miw={80} truncate title={name}>
        {name}
      </Text>
      <Select
        size="xs"
        w={150}
        aria-label={t('Type of {field}', { field: name })}
        disabled={disabled}
        allowDeselect={false}
        data={type === undefined || (TYPES as readonly string[]).includes(type) ? [...TYPES] : [...TYPES, type]}
        value={type ?? null}
        placeholder={t('In the YAML')}
        onChange={(next) => next !== null && next !== type && set(retyped(value, next))}
      />
      <ActionIcon variant="subtle" color="gray" size="sm" disabled={disabled} aria-label={t('Remove {field}', { field: name })} onClick={remove}>
        <IconTrash size={14} aria-hidden />
      </ActionIcon>
    </Group>
  );
}
