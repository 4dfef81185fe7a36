/** Values by name: parameters, headers, the fields of a form. */
import { ActionIcon, Button, Group, Input, Stack, TextInput } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';

import type { Path } from '../document/document';
import { isObject } from '../document/layout';
import { t } from '../../text';
import { useField, useForm } from './context';
import type { InputProps } from './ScalarField';
import { useTyped } from './useTyped';
import { YamlField } from './YamlField';

export function TableField({ path, label, name }: InputProps) {
  const { doc, edit, where } = useForm();
  const { value, set, error, disabled } = useField(path);
  const [draft, setDraft] = useState<string>();
  /** The entry that was just added by Enter: its value is typed next. */
  const [added, setAdded] = useState<string>();
  const names = isObject(value) ? Object.keys(value).filter((key) => key !== '$ref' && key !== '<<') : [];
  const add = (typesOn: boolean) => {
    if (draft === undefined || draft.trim() === '' || names.includes(draft)) return;
    // Beside what is there: its order, its comments and what it inherits stay.
    if (isObject(value)) edit(doc.set([...path, draft], '', { where }));
    else set({ [draft]: '' });
    setAdded(typesOn ? draft : undefined);
    setDraft(undefined);
  };
  return (
    <Input.Wrapper label={label} error={error} role="group" aria-label={name}>
      <Stack gap={6} mt={4}>
        {/* By place: a row that gets another name keeps the focus in it. */}
        {names.map((key, index) => (
          <Row key={index} path={[...path, key]} name={key} taken={names} focused={key === added} />
        ))}
        {draft === undefined ? (
          <Group>
            <Button size="xs" variant="default" disabled={disabled} leftSection={<IconPlus size={14} aria-hidden />} aria-label={t('Add to {field}', { field: name })} onClick={() => setDraft('')}>
              {t('Add')}
            </Button>
          </Group>
        ) : (
          <TextInput
            size="sm"
            maw={260}
            autoFocus
            aria-label={t('Name of the new entry of {field}', { field: name })}
            placeholder={t('Name, then Enter')}
            value={draft}
            error={names.includes(draft) ? t('There is one of this name') : undefined}
            onChange={(event) => setDraft(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') add(true);
              if (event.key === 'Escape') setDraft(undefined);
            }}
            onBlur={() => (draft.trim() === '' ? setDraft(undefined) : add(false))}
          />
        )}
      </Stack>
    </Input.Wrapper>
  );
}

function Row({ path, name, taken, focused }: { path: Path; name: string; taken: readonly string[]; focused: boolean }) {
  const { doc, edit } = useForm();
  const { value, set, remove, disabled } = useField(path);
  const isScalar = value === null || typeof value !== 'object';
  const key = useTyped(
    name,
    () => undefined,
    (text) => {
      if (text !== name && text.trim() !== '' && !taken.includes(text) && doc.written(path) !== undefined) edit(doc.rename(path, text));
      return true;
    },
  );
  const text = useTyped(value === undefined || value === null ? '' : String(value), (next) => set(typeof value === 'number' && String(Number(next)) === next ? Number(next) : next));
  return (
    <Group gap={6} wrap="nowrap" align="flex-start">
      <TextInput size="sm" flex="0 1 160px" miw={90} aria-label={t('Name')} disabled={disabled} {...key} spellCheck={false} autoComplete="off" />
      {isScalar ? (
        <TextInput size="sm" flex={1} miw={90} autoFocus={focused} aria-label={name} disabled={disabled} {...text} spellCheck={false} autoComplete="off" />
      ) : (
        <div style={{ flex: 1 }}>
          <YamlField path={path} label={undefined} name={name} />
        </div>
      )}
      <ActionIcon variant="subtle" color="gray" mt={5} disabled={disabled} aria-label={t('Remove {field}', { field: name })} onClick={remove}>
        <IconTrash size={16} aria-hidden />
      </ActionIcon>
    </Group>
  );
}
