/** The filter of rows: typed, or made of values that were clicked; each condition can be removed. */
import { Button, CloseButton, Group, Pill, Switch, Text, TextInput } from '@mantine/core';
import { IconFilter } from '@tabler/icons-react';
import { type FormEvent, useEffect, useState } from 'react';

import { t } from '../text';
import { conditionsOf, withoutCondition } from './filter';

interface Props {
  where: string;
  apply: (where: string) => void;
  deleted?: boolean;
  showDeleted?: (deleted: boolean) => void;
}

export function FilterBar({ where, apply, deleted, showDeleted }: Props) {
  const [text, setText] = useState(where);
  useEffect(() => setText(where), [where]);

  function submit(event: FormEvent) {
    event.preventDefault();
    apply(text.trim());
  }

  return (
    <>
      <form onSubmit={submit}>
        <Group gap="xs" align="flex-end">
          <TextInput
            label={t('Filter')}
            placeholder={t('status=new, price >= 3, or click on a value')}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            leftSection={<IconFilter size={16} aria-hidden />}
            rightSection={text ? <CloseButton size="sm" aria-label={t('Clear the filter')} onClick={() => apply('')} /> : null}
            style={{ flex: '1 1 220px' }}
            spellCheck={false}
            autoCapitalize="off"
          />
          <Button type="submit" variant="default">
            {t('Apply')}
          </Button>
          {showDeleted && (
            <Switch
              label={t('Deleted records too')}
              checked={deleted ?? false}
              onChange={(event) => showDeleted(event.currentTarget.checked)}
              mb={8}
            />
          )}
        </Group>
      </form>
      {where && (
        <Group gap={6} component="ul" p={0} m={0} style={{ listStyle: 'none' }} aria-label={t('Conditions')}>
          {conditionsOf(where).map(({ field, label }) => (
            <Pill
              key={field}
              component="li"
              size="md"
              withRemoveButton
              removeButtonProps={{ 'aria-label': t('Remove {condition}', { condition: label }), tabIndex: 0, 'aria-hidden': false }}
              onRemove={() => apply(withoutCondition(where, field))}
              maw="100%"
            >
              {label}
            </Pill>
          ))}
          {conditionsOf(where).length > 1 && (
            <Text component="li" size="xs" c="dimmed" style={{ alignSelf: 'center' }}>
              {t('All must hold.')}
            </Text>
          )}
        </Group>
      )}
    </>
  );
}
