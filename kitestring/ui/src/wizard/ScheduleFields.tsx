/** When a connection runs: by hand, every so often, or by cron. */
import { Group, NativeSelect, NumberInput, SegmentedControl, Select, Stack, Text, TextInput } from '@mantine/core';

export interface When {
  kind: 'manual' | 'basic' | 'cron';
  every: number;
  unit: string;
  expression: string;
  zone: string;
}

export const WHEN: When = {
  kind: 'basic',
  every: 24,
  unit: 'HOURS',
  expression: '0 6 * * *',
  zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
};

/** As the API takes it. */
export function timing(when: When): Record<string, string> {
  if (when.kind === 'basic') return { scheduleType: 'basic', basicTiming: `Every ${when.every} ${when.unit}` };
  if (when.kind === 'cron') return { scheduleType: 'cron', cronExpression: `${when.expression.trim()} ${when.zone}` };
  return { scheduleType: 'manual' };
}

function zones(): string[] {
  const known = Intl.supportedValuesOf('timeZone');
  return known.includes('UTC') ? known : ['UTC', ...known];
}

export function ScheduleFields({ when, onChange }: { when: When; onChange: (when: When) => void }) {
  return (
    <Stack gap="sm">
      <Stack gap={4}>
        <Text size="sm" fw={500} id="when">
          Schedule
        </Text>
        <SegmentedControl
          aria-labelledby="when"
          value={when.kind}
          onChange={(kind) => onChange({ ...when, kind: kind as When['kind'] })}
          data={[
            { value: 'basic', label: 'Every …' },
            { value: 'cron', label: 'Cron' },
            { value: 'manual', label: 'By hand' },
          ]}
          style={{ alignSelf: 'flex-start' }}
        />
      </Stack>
      {when.kind === 'basic' && (
        <Group gap="xs" align="flex-end">
          <NumberInput
            label="Every"
            value={when.every}
            min={1}
            allowDecimal={false}
            w={110}
            onChange={(next) => onChange({ ...when, every: Math.max(1, Number(next) || 1) })}
          />
          <NativeSelect
            aria-label="Unit"
            value={when.unit}
            data={[
              { value: 'MINUTES', label: 'minutes' },
              { value: 'HOURS', label: 'hours' },
              { value: 'DAYS', label: 'days' },
              { value: 'WEEKS', label: 'weeks' },
            ]}
            onChange={(event) => onChange({ ...when, unit: event.currentTarget.value })}
          />
        </Group>
      )}
      {when.kind === 'cron' && (
        <Group gap="xs" align="flex-start">
          <TextInput
            label="Expression"
            description="Five fields, or Quartz's six or seven."
            value={when.expression}
            onChange={(event) => onChange({ ...when, expression: event.currentTarget.value })}
            ff="monospace"
            w={240}
          />
          <Select
            label="Time zone"
            description="That the expression is meant in."
            data={zones()}
            value={when.zone}
            searchable
            allowDeselect={false}
            limit={60}
            w={240}
            onChange={(zone) => zone && onChange({ ...when, zone })}
          />
        </Group>
      )}
      {when.kind === 'manual' && (
        <Text size="sm" c="dimmed">
          It runs when you, or a program over the API, start it.
        </Text>
      )}
    </Stack>
  );
}
