/** The conditions of a mapper that keeps some records: a field equals a value, or not, in groups of any depth. */
import { ActionIcon, Autocomplete, Button, Group, Select, Stack, TextInput } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';

import { t } from '../text';
import type { Condition } from './mappers';

const EMPTY: Condition = { type: 'EQUAL', fieldName: '', comparisonValue: '' };

export function RowFilter({
  condition,
  fields,
  onChange,
  onRemove,
}: {
  condition: Condition;
  fields: string[];
  onChange: (condition: Condition) => void;
  onRemove?: () => void;
}) {
  const remove = onRemove && (
    <ActionIcon variant="subtle" color="gray" aria-label={t('Remove the condition')} onClick={onRemove}>
      <IconTrash size={15} aria-hidden />
    </ActionIcon>
  );
  const [inner] = condition.conditions ?? [];
  const isNot = condition.type === 'NOT' && condition.conditions?.length === 1 && inner?.type === 'EQUAL';
  if (condition.type === 'EQUAL' || isNot) {
    const equal = isNot ? inner! : condition;
    const changed = (values: Partial<Condition>, not = isNot) => {
      const next = { ...equal, ...values };
      onChange(not ? { type: 'NOT', conditions: [next] } : next);
    };
    return (
      <Group gap="xs" align="center">
        <Autocomplete
          size="xs"
          aria-label={t('Field')}
          placeholder={t('Field')}
          data={fields}
          limit={60}
          value={equal.fieldName ?? ''}
          onChange={(fieldName) => changed({ fieldName })}
          style={{ flex: '1 1 150px' }}
        />
        <Select
          size="xs"
          aria-label={t('Comparison')}
          data={[
            { value: 'is', label: t('is') },
            { value: 'is not', label: t('is not') },
          ]}
          value={isNot ? 'is not' : 'is'}
          allowDeselect={false}
          w={90}
          onChange={(word) => changed({}, word === 'is not')}
        />
        <TextInput
          size="xs"
          aria-label={t('Value')}
          placeholder={t('Value')}
          value={equal.comparisonValue ?? ''}
          onChange={(event) => changed({ comparisonValue: event.currentTarget.value })}
          style={{ flex: '1 1 150px' }}
        />
        {remove}
        {!onRemove && (
          <Button size="compact-xs" variant="default" leftSection={<IconPlus size={12} aria-hidden />} onClick={() => onChange({ type: 'AND', conditions: [condition, EMPTY] })}>
            {t('Add a condition')}
          </Button>
        )}
      </Group>
    );
  }
  const conditions = condition.conditions ?? [];
  return (
    <Stack gap="xs" pl="sm" style={{ borderInlineStart: '2px solid var(--mantine-color-default-border)' }}>
      <Group gap="xs">
        <Select
          size="xs"
          aria-label={t('Combine the conditions')}
          data={[
            { value: 'AND', label: t('All of these are true') },
            { value: 'OR', label: t('One of these is true') },
            { value: 'NOT', label: t('None of these is true') },
          ]}
          value={condition.type}
          allowDeselect={false}
          w={210}
          onChange={(type) => onChange({ ...condition, type: type as Condition['type'] })}
        />
        {remove}
      </Group>
      {conditions.map((other, n) => (
        <RowFilter
          key={n}
          condition={other}
          fields={fields}
          onChange={(next) => onChange({ ...condition, conditions: conditions.map((old, position) => (position === n ? next : old)) })}
          onRemove={() => {
            const rest = conditions.filter((_, position) => position !== n);
            onChange(rest.length === 1 && condition.type !== 'NOT' ? rest[0]! : rest.length ? { ...condition, conditions: rest } : EMPTY);
          }}
        />
      ))}
      <Group>
        <Button size="compact-xs" variant="default" leftSection={<IconPlus size={12} aria-hidden />} onClick={() => onChange({ ...condition, conditions: [...conditions, EMPTY] })}>
          {t('Add a condition')}
        </Button>
      </Group>
    </Stack>
  );
}
