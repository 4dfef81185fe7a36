/** How a later sync reads only what has changed. */
import { Select, Stack, Text } from '@mantine/core';

import { t } from '../../text';
import { ComponentFields } from './ComponentForm';
import { type FormProps, useField, useForm } from './context';
import { Inherited } from './Inherited';
import { inputsOf, withInputs } from './inputs';
import { newComponent } from './kinds';

/** `path`: the `incremental_sync` of a stream. */
export function IncrementalFields({ path }: Pick<FormProps, 'path'>) {
  const { doc, schema, edit } = useForm();
  const { value, remove, disabled, error } = useField(path);
  const type = doc.get([...path, 'type']);
  return (
    <Stack gap="sm">
      <Select
        label={t('Kind')}
        error={error}
        disabled={disabled}
        maw={420}
        allowDeselect={false}
        data={[
          { value: 'none', label: t('Each sync reads everything') },
          { value: 'DatetimeBasedCursor', label: t('By the time of the last change') },
          { value: 'IncrementingCountCursor', label: t('By a growing number') },
        ]}
        value={value === undefined || value === null ? 'none' : String(type ?? 'DatetimeBasedCursor')}
        onChange={(next) => {
          if (next === null || next === type) return;
          if (next === 'none') return remove();
          const cursor = newComponent(schema, next);
          // The start that its template reads becomes an input.
          edit([...doc.set(path, cursor), ...withInputs(doc, inputsOf(cursor))]);
        }}
      />
      {value === undefined || value === null ? (
        <Text size="sm" c="dimmed">
          {t('With a cursor, the state of the last sync is where the next one begins.')}
        </Text>
      ) : (
        <Inherited path={path}>
          <ComponentFields path={path} />
        </Inherited>
      )}
    </Stack>
  );
}
