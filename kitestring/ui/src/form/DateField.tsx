/** A date: typed as people write dates, or picked from a calendar. */
import '@mantine/dates/styles.css';

import { ActionIcon, Popover, TextInput } from '@mantine/core';
import { DatePicker } from '@mantine/dates';
import { IconCalendar } from '@tabler/icons-react';
import { useState } from 'react';

import { currentLanguage, t } from '../text';
import { type DateForm, readDate } from './dates';
import type { FieldProps, SharedProps } from './field';
import { label } from './schema';

export function DateField({ field, shared, form }: { field: FieldProps; shared: SharedProps; form: DateForm }) {
  const [opened, setOpened] = useState(false);
  const text = String(field.value ?? '');
  const day = readDate(text, '');
  return (
    <TextInput
      {...shared}
      placeholder={t('{form}, or pick a day', { form: `YYYY-MM-DD` })}
      value={text}
      autoComplete="off"
      styles={{ wrapper: { maxWidth: 320 } }}
      onChange={(event) => field.onChange(event.currentTarget.value)}
      onBlur={() => {
        const typed = readDate(text, form);
        if (typed !== undefined && typed !== text) field.onChange(typed);
      }}
      rightSection={
        <Popover opened={opened} onChange={setOpened} position="bottom-end" trapFocus returnFocus withRoles={false}>
          <Popover.Target>
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={t('Pick {field}', { field: label(field.name, field.schema) })}
              aria-expanded={opened}
              onClick={() => setOpened(!opened)}
            >
              <IconCalendar size={16} aria-hidden />
            </ActionIcon>
          </Popover.Target>
          <Popover.Dropdown>
            <DatePicker
              value={day ?? null}
              defaultDate={day}
              weekendDays={[]}
              locale={currentLanguage()}
              ariaLabels={{
                nextMonth: t('Next month'),
                previousMonth: t('Previous month'),
                monthLevelControl: t('Choose a month'),
                yearLevelControl: t('Choose a year'),
                nextYear: t('Next year'),
                previousYear: t('Previous year'),
                nextDecade: t('Next decade'),
                previousDecade: t('Previous decade'),
              }}
              onChange={(picked) => {
                if (picked) field.onChange(readDate(picked, form));
                setOpened(false);
              }}
            />
          </Popover.Dropdown>
        </Popover>
      }
    />
  );
}
