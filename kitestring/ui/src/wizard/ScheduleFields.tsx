/** The schedule of a connection: manual, at an interval, or by cron. */
import { Group, NativeSelect, NumberInput, SegmentedControl, Select, Stack, Text, TextInput } from '@mantine/core';

export interface ScheduleSettings {
  kind: 'manual' | 'basic' | 'cron';
  every: number;
  unit: string;
  expression: string;
  zone: string;
}

export const DEFAULT_SCHEDULE: ScheduleSettings = {
  kind: 'basic',
  every: 24,
  unit: 'HOURS',
  expression: '0 6 * * *',
  zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
};

/** The schedule in the form of the API. */
export function scheduleBody(schedule: ScheduleSettings): Record<string, string> {
  if (schedule.kind === 'basic') return { scheduleType: 'basic', basicTiming: `Every ${schedule.every} ${schedule.unit}` };
  if (schedule.kind === 'cron') return { scheduleType: 'cron', cronExpression: `${schedule.expression.trim()} ${schedule.zone}` };
  return { scheduleType: 'manual' };
}

function zones(): string[] {
  const names = Intl.supportedValuesOf('timeZone');
  return names.includes('UTC') ? names : ['UTC', ...names];
}

export function ScheduleFields({ schedule, onChange }: { schedule: ScheduleSettings; onChange: (schedule: ScheduleSettings) => void }) {
  return (
    <Stack gap="sm">
      <Stack gap={4}>
        <Text size="sm" fw={500} id="when">
          Schedule
        </Text>
        <SegmentedControl
          aria-labelledby="when"
          value={schedule.kind}
          onChange={(kind) => onChange({ ...schedule, kind: kind as ScheduleSettings['kind'] })}
          data={[
            { value: 'basic', label: 'Every …' },
            { value: 'cron', label: 'Cron' },
            { value: 'manual', label: 'Manual' },
          ]}
          style={{ alignSelf: 'flex-start' }}
        />
      </Stack>
      {schedule.kind === 'basic' && (
        <Group gap="xs" align="flex-end">
          <NumberInput
            label="Every"
            value={schedule.every}
            min={1}
            allowDecimal={false}
            w={110}
            onChange={(next) => onChange({ ...schedule, every: Math.max(1, Number(next) || 1) })}
          />
          <NativeSelect
            aria-label="Unit"
            value={schedule.unit}
            data={[
              { value: 'MINUTES', label: 'minutes' },
              { value: 'HOURS', label: 'hours' },
              { value: 'DAYS', label: 'days' },
              { value: 'WEEKS', label: 'weeks' },
            ]}
            onChange={(event) => onChange({ ...schedule, unit: event.currentTarget.value })}
          />
        </Group>
      )}
      {schedule.kind === 'cron' && (
        <Group gap="xs" align="flex-start">
          <TextInput
            label="Expression"
            description="Five fields, or Quartz's six or seven."
            value={schedule.expression}
            onChange={(event) => onChange({ ...schedule, expression: event.currentTarget.value })}
            ff="monospace"
            w={240}
          />
          <Select
            label="Time zone"
            description="The zone of the expression."
            data={zones()}
            value={schedule.zone}
            searchable
            allowDeselect={false}
            limit={60}
            w={240}
            onChange={(zone) => zone && onChange({ ...schedule, zone })}
          />
        </Group>
      )}
      {schedule.kind === 'manual' && (
        <Text size="sm" c="dimmed">
          Runs only when started here or through the API.
        </Text>
      )}
    </Stack>
  );
}
