/** The inputs that a user of the connector fills in: in order, secrets marked. */
import { ActionIcon, Badge, Box, Button, Checkbox, Collapse, Group, Paper, Select, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconChevronRight, IconPlus, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';

import { t } from '../../text';
import { isObject } from '../document/layout';
import { FormScope } from './ComponentForm';
import { type FormProps, useField, useForm } from './context';
import { inputNames, inputsOf, orderedInputs, PROPERTIES, removedInput, renamedInput, SPECIFICATION, withInputs } from './inputs';
import { UnreadInputs } from './UnreadInputs';
import { useTyped } from './useTyped';
import { YamlField } from './YamlField';

export function InputsForm(form: Omit<FormProps, 'path'>) {
  return (
    <FormScope {...form}>
      <Inputs />
    </FormScope>
  );
}

function Inputs() {
  const { doc, edit, disabled } = useForm();
  const [draft, setDraft] = useState('');
  const [opened, setOpened] = useState<string>();
  const names = inputNames(doc);
  // What templates read and nobody can enter.
  const unknown = inputsOf([doc.get(['streams']), doc.get(['definitions']), doc.get(['dynamic_streams'])]).filter((name) => !names.includes(name) && !name.startsWith('_'));
  const add = (name: string) => {
    const trimmed = name.trim();
    if (trimmed === '' || names.includes(trimmed)) return;
    edit(withInputs(doc, [trimmed]));
    setDraft('');
    setOpened(trimmed);
  };
  const move = (from: number, to: number) => {
    const order = [...names];
    order.splice(to, 0, ...order.splice(from, 1));
    edit(orderedInputs(doc, order));
  };
  return (
    <Stack gap={6}>
      {names.length === 0 && (
        <Text size="sm" c="dimmed">
          {t('No inputs yet. Templates read them as {template}.', { template: "{{ config['name'] }}" })}
        </Text>
      )}
      {names.map((name, index) => (
        <Input key={index} name={name} opened={opened === name} onToggle={() => setOpened(opened === name ? undefined : name)} rename={setOpened} up={index > 0 ? () => move(index, index - 1) : undefined} down={index < names.length - 1 ? () => move(index, index + 1) : undefined} />
      ))}
      <Group gap={6} wrap="nowrap" mt={4}>
        <TextInput
          size="sm"
          flex={1}
          maw={300}
          disabled={disabled}
          aria-label={t('Name of a new input')}
          placeholder={t('Name of a new input, such as api_key')}
          value={draft}
          error={names.includes(draft.trim()) ? t('There is one of this name') : undefined}
          onChange={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => event.key === 'Enter' && add(draft)}
        />
        <Button size="xs" variant="default" disabled={disabled || draft.trim() === ''} leftSection={<IconPlus size={14} aria-hidden />} onClick={() => add(draft)}>
          {t('Add')}
        </Button>
      </Group>
      {unknown.length > 0 && (
        <Group gap={6} mt="xs">
          <Text size="sm" c="dimmed">
            {t('Templates read these, but there is no input for them:')}
          </Text>
          {unknown.slice(0, 8).map((name) => (
            <Button key={name} size="compact-xs" variant="light" disabled={disabled} aria-label={t('Add the input {name}', { name })} onClick={() => add(name)}>
              {name}
            </Button>
          ))}
        </Group>
      )}
      <UnreadInputs />
    </Stack>
  );
}

const TYPES = ['string', 'integer', 'number', 'boolean', 'date', 'date-time', 'choice', 'array'] as const;

function typeOf(value: Record<string, unknown>): string | undefined {
  if ('oneOf' in value || value.type === 'object') return undefined;
  if (Array.isArray(value.enum)) return 'choice';
  if (value.type === 'string' && (value.format === 'date' || value.format === 'date-time')) return value.format;
  return typeof value.type === 'string' && (TYPES as readonly string[]).includes(value.type) ? value.type : undefined;
}

function retyped(value: Record<string, unknown>, type: string): Record<string, unknown> {
  const { format: _, pattern: __, enum: ___, items: ____, airbyte_secret: secret, ...rest } = value;
  const dates = type === 'date' ? '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' : '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$';
  if (type === 'choice') return { ...rest, type: 'string', enum: ['first', 'second'] };
  if (type === 'date' || type === 'date-time') return { ...rest, type: 'string', format: type, pattern: dates };
  if (type === 'array') return { ...rest, type: 'array', items: { type: 'string' } };
  return { ...rest, type, ...(type === 'string' && secret === true && { airbyte_secret: true }) };
}

interface InputProps {
  name: string;
  opened: boolean;
  onToggle: () => void;
  rename: (name: string) => void;
  up?: () => void;
  down?: () => void;
}

function Input({ name, opened, onToggle, rename, up, down }: InputProps) {
  const { doc, edit, disabled } = useForm();
  const path = [...PROPERTIES, name];
  const value = doc.get(path);
  const input = isObject(value) ? value : {};
  const type = typeOf(input);
  const required = doc.get([...SPECIFICATION, 'required']);
  const isRequired = Array.isArray(required) && required.includes(name);
  const isSecret = input.airbyte_secret === true;
  const set = (field: string, next: unknown) => edit(doc.set([...path, field], next, { where: 'shared' }));
  const key = useTyped(
    name,
    () => undefined,
    (next) => {
      const splices = next === name ? [] : renamedInput(doc, name, next.trim());
      if (splices.length === 0) return true;
      edit(splices);
      rename(next.trim());
      return true;
    },
  );
  const title = String(input.title ?? name);
  return (
    <Paper withBorder radius="md" p="xs" role="group" aria-label={t('Input {name}', { name })}>
      <Group gap={4} wrap="nowrap">
        <UnstyledButton flex={1} miw={0} aria-expanded={opened} onClick={onToggle}>
          <Group gap={6} wrap="nowrap">
            <IconChevronRight size={16} aria-hidden style={{ transform: opened ? 'rotate(90deg)' : undefined, flexShrink: 0 }} />
            <Text size="sm" fw={500} truncate>{title}</Text>
            <Text size="sm" c="dimmed" ff="monospace" truncate>{name}</Text>
            {isSecret && <Badge size="xs" variant="light" tt="none" style={{ flexShrink: 0 }}>{t('Secret')}</Badge>}
            {!isRequired && <Badge size="xs" variant="light" color="gray" tt="none" style={{ flexShrink: 0 }}>{t('optional')}</Badge>}
          </Group>
        </UnstyledButton>
        <ActionIcon variant="subtle" color="gray" size="sm" disabled={disabled || !up} aria-label={t('Move {field} up', { field: title })} onClick={up}><IconArrowUp size={14} aria-hidden /></ActionIcon>
        <ActionIcon variant="subtle" color="gray" size="sm" disabled={disabled || !down} aria-label={t('Move {field} down', { field: title })} onClick={down}><IconArrowDown size={14} aria-hidden /></ActionIcon>
        <ActionIcon variant="subtle" color="gray" size="sm" disabled={disabled} aria-label={t('Remove {field}', { field: title })} onClick={() => edit(removedInput(doc, name))}><IconTrash size={14} aria-hidden /></ActionIcon>
      </Group>
      <Collapse expanded={opened}>
        {opened && (
          <Stack gap="sm" pt="xs">
            <TextInput label={t('Name in templates')} disabled={disabled} spellCheck={false} autoComplete="off" {...key} />
            <TypedText label={t('Title')} value={input.title} disabled={disabled} set={(next) => set('title', next)} />
            <TypedText label={t('Description')} value={input.description} disabled={disabled} set={(next) => set('description', next)} />
            {type === undefined ? (
              <YamlField path={path} label={t('YAML')} name={t('YAML')} />
            ) : (
              <>
                <Select
                  label={t('Type')}
                  maw={280}
                  disabled={disabled}
                  allowDeselect={false}
                  data={[
                    { value: 'string', label: t('Text') },
                    { value: 'integer', label: t('Whole number') },
                    { value: 'number', label: t('Number') },
                    { value: 'boolean', label: t('Yes or no') },
                    { value: 'date', label: t('Day') },
                    { value: 'date-time', label: t('Day and time') },
                    { value: 'choice', label: t('One of several values') },
                    { value: 'array', label: t('List of texts') },
                  ]}
                  value={type}
                  onChange={(next) => next !== null && next !== type && edit(doc.set(path, retyped(input, next), { where: 'shared' }))}
                />
                {type === 'choice' && <Choices path={[...path, 'enum']} />}
                {type === 'string' && <Checkbox label={t('Secret: kept sealed, and never shown')} disabled={disabled} checked={isSecret} onChange={(event) => set('airbyte_secret', event.currentTarget.checked ? true : undefined)} />}
                <TypedText label={t('Default')} value={input.default} disabled={disabled} set={(next) => set('default', next === undefined ? undefined : defaultOf(next, type))} />
              </>
            )}
            <Checkbox
              label={t('Required')}
              disabled={disabled}
              checked={isRequired}
              onChange={(event) => {
                const others = (Array.isArray(required) ? required : []).filter((item) => item !== name);
                const next = event.currentTarget.checked ? [...others, name] : others;
                edit(doc.set([...SPECIFICATION, 'required'], next.length > 0 ? next : undefined, { where: 'shared' }));
              }}
            />
          </Stack>
        )}
      </Collapse>
    </Paper>
  );
}

function defaultOf(text: string, type: string): unknown {
  if (type === 'boolean') return text === 'true';
  if ((type === 'integer' || type === 'number') && text.trim() !== '' && Number.isFinite(Number(text))) return Number(text);
  return text;
}

function TypedText({ label, value, set, disabled }: { label: string; value: unknown; set: (next: string | undefined) => void; disabled: boolean }) {
  const typed = useTyped(value === undefined || value === null ? '' : String(value), set, (text) => {
    if (text !== '') return false;
    if (value !== undefined) set(undefined);
    return true;
  });
  return <TextInput label={label} disabled={disabled} spellCheck={false} autoComplete="off" {...typed} />;
}

/** The values of a choice. */
function Choices({ path }: { path: FormProps['path'] }) {
  const { value, set, disabled } = useField(path);
  const items = Array.isArray(value) ? value.map(String) : [];
  const typed = useTyped(items.join(', '), (text) => set(text.split(',').map((item) => item.trim()).filter((item) => item !== '')));
  return <Box><TextInput label={t('Values, with commas between')} disabled={disabled} spellCheck={false} autoComplete="off" {...typed} /></Box>;
}
