/** The schedule of a connection: manual, at an interval, by cron, or continuous; with its next runs, and its errors at the field. */
import { Button, Group, NativeSelect, NumberInput, SegmentedControl, Select, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';

import { api, ApiError, OWN } from '../api/client';
import type { SchedulePreview } from '../api/schema.gen';
import { cronInWords } from '../connections/schedule';
import { continuousQuery } from '../endpoint/endpoints';
import { CodeText } from '../shell/CodeText';
import { currentLanguage, t } from '../text';
import { scheduleBody, type ScheduleSettings } from './settings';

const TYPING_MS = 300;
const RUNS = 3;

const intervals = () =>
  [
    [15, 'MINUTES', t('15 minutes')],
    [1, 'HOURS', t('1 hour')],
    [6, 'HOURS', t('6 hours')],
    [24, 'HOURS', t('24 hours')],
    [1, 'WEEKS', t('1 week')],
  ] as const;

const patterns = () =>
  [
    ['0 6 * * *', t('Every day at 6:00')],
    ['0 6 * * 1-5', t('Weekdays at 6:00')],
    ['0 */4 * * *', t('Every 4 hours, on the hour')],
    ['0 6 * * 1', t('Mondays at 6:00')],
    ['0 6 1 * *', t('The first of each month at 6:00')],
  ] as const;

function zones(): string[] {
  const names = Intl.supportedValuesOf('timeZone');
  return names.includes('UTC') ? names : ['UTC', ...names];
}

interface Props {
  /** The source of the connection: not each can be followed without an end. */
  sourceId: string;
  schedule: ScheduleSettings;
  onChange: (schedule: ScheduleSettings) => void;
}

export function ScheduleFields({ sourceId, schedule, onChange }: Props) {
  const [settled] = useDebouncedValue(schedule, TYPING_MS);
  const preview = useQuery({
    queryKey: ['schedule', settled],
    queryFn: () => api.ask<SchedulePreview>(`${OWN}/schedule/preview`, scheduleBody(settled)),
    enabled: settled.kind === 'basic' || settled.kind === 'cron',
    retry: false,
  });
  const continuous = useQuery(continuousQuery(sourceId)).data;
  const zone = schedule.kind === 'cron' ? schedule.zone : undefined;
  const error = settled.kind === schedule.kind && preview.error;
  const chip = (label: string, pressed: boolean, settings: Partial<ScheduleSettings>) => (
    <Button key={label} size="compact-sm" variant={pressed ? 'light' : 'default'} aria-pressed={pressed} onClick={() => onChange({ ...schedule, ...settings })}>
      {label}
    </Button>
  );
  return (
    <Stack gap="sm">
      <Stack gap={4}>
        <Text size="sm" fw={600} id="when">
          {t('Schedule')}
        </Text>
        <SegmentedControl
          aria-labelledby="when"
          value={schedule.kind}
          onChange={(kind) => onChange({ ...schedule, kind: kind as ScheduleSettings['kind'] })}
          data={[
            { value: 'basic', label: t('Every …') },
            { value: 'cron', label: t('Cron') },
            ...(continuous?.possible || schedule.kind === 'continuous' ? [{ value: 'continuous', label: t('Continuous') }] : []),
            { value: 'manual', label: t('Manual') },
          ]}
          style={{ alignSelf: 'flex-start' }}
        />
        {continuous?.possible === false && schedule.kind !== 'continuous' && (
          <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
            <CodeText text={sentence(continuous.reason)} />
          </Text>
        )}
      </Stack>
      {schedule.kind === 'basic' && (
        <>
          <Group gap={6} role="group" aria-label={t('Usual intervals')}>
            {intervals().map(([every, unit, label]) => chip(label, schedule.every === every && schedule.unit === unit, { every, unit }))}
          </Group>
          <Group gap="xs" align="flex-end">
            <NumberInput
              label={t('Every')}
              value={schedule.every}
              min={1}
              allowDecimal={false}
              w={110}
              onChange={(next) => onChange({ ...schedule, every: Math.max(1, Number(next) || 1) })}
            />
            <NativeSelect
              aria-label={t('Unit')}
              value={schedule.unit}
              data={[
                { value: 'MINUTES', label: t('minutes') },
                { value: 'HOURS', label: t('hours') },
                { value: 'DAYS', label: t('days') },
                { value: 'WEEKS', label: t('weeks') },
                { value: 'MONTHS', label: t('months') },
              ]}
              onChange={(event) => onChange({ ...schedule, unit: event.currentTarget.value })}
            />
          </Group>
          {error && <Problem error={error} />}
        </>
      )}
      {schedule.kind === 'cron' && (
        <>
          <Group gap={6} role="group" aria-label={t('Usual times')}>
            {patterns().map(([expression, label]) => chip(label, schedule.expression === expression, { expression }))}
          </Group>
          <Group gap="xs" align="flex-start">
            <TextInput
              label={t('Expression')}
              description={t('Minute, hour, day, month, weekday; or Quartz’s six or seven fields.')}
              value={schedule.expression}
              error={error ? <Problem error={error} /> : undefined}
              inputWrapperOrder={['label', 'description', 'input', 'error']}
              onChange={(event) => onChange({ ...schedule, expression: event.currentTarget.value })}
              styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
              style={{ flex: '1 1 260px' }}
              maw={380}
            />
            <Select
              label={t('Time zone')}
              description={t('The time zone of the expression.')}
              data={zones()}
              value={schedule.zone}
              searchable
              allowDeselect={false}
              limit={60}
              w={240}
              onChange={(next) => next && onChange({ ...schedule, zone: next })}
            />
          </Group>
          {!error && cronInWords(schedule.expression) && <Text size="sm">{cronInWords(schedule.expression)}</Text>}
        </>
      )}
      {schedule.kind === 'continuous' && (
        <>
          <NumberInput
            label={t('Reconcile every … minutes')}
            description={t('After this time the numbers are compared with the count of the destination.')}
            value={schedule.windowMinutes}
            min={1}
            max={60}
            allowDecimal={false}
            maw={380}
            onChange={(next) => onChange({ ...schedule, windowMinutes: Math.min(60, Math.max(1, Number(next) || 1)) })}
          />
          {continuous?.possible === false ? (
            <Text size="sm" role="alert" c="var(--mantine-color-error)" style={{ overflowWrap: 'anywhere' }}>
              <CodeText text={`${sentence(continuous.reason)} ${continuous.hint}`} />
            </Text>
          ) : (
            <Text size="sm" c="dimmed">
              {t('One job goes on without an end and writes each change about a second after its commit.')}
            </Text>
          )}
        </>
      )}
      {schedule.kind === 'manual' ? (
        <Text size="sm" c="dimmed">
          {t('Runs only when started here or through the API.')}
        </Text>
      ) : (
        preview.data && (
          <Text size="sm" c="dimmed" role="status">
            {t('Next: {times}', { times: preview.data.nextMs.slice(0, RUNS).map((ms) => moment(ms, zone)).join('; ') })}
          </Text>
        )
      )}
    </Stack>
  );
}

/** A reason of the server as a sentence. */
const sentence = (reason: string) => `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;

function Problem({ error }: { error: Error }) {
  const hint = error instanceof ApiError ? error.hint : '';
  return (
    <Text span size="xs" role="alert" c="var(--mantine-color-error)">
      {error.message}. {hint}
    </Text>
  );
}

/** A moment with its weekday and its zone; without a zone, in the viewer's. */
function moment(ms: number, timeZone: string | undefined): string {
  return new Intl.DateTimeFormat(currentLanguage() === 'en' ? 'en-GB' : currentLanguage(), {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    timeZone,
    timeZoneName: 'short',
  }).format(ms);
}
