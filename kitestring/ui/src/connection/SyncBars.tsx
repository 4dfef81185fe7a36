/** 30 days of syncs as bars: the colour is the result, the height the number of records. */
import { Group, Text, Tooltip } from '@mantine/core';

import { statusWord } from '../shell/StatusBadge';
import { currentLanguage, plural, t } from '../text';
import type { Day } from './history';

const WIDTH = 600;
const HEIGHT = 90;
const GAP = 4;
const MIN_PX = 5;
const COLORS: Record<string, string> = {
  succeeded: 'var(--mantine-color-green-filled)',
  suspicious: 'var(--mantine-color-yellow-filled)',
  failed: 'var(--mantine-color-red-filled)',
  cancelled: 'var(--mantine-color-gray-5)',
};
const ACTIVE = 'var(--mantine-color-blue-filled)';
const colorOf = (status: string) => COLORS[status] ?? ACTIVE;

const dayText = (ms: number) => new Intl.DateTimeFormat(currentLanguage(), { weekday: 'short', day: 'numeric', month: 'short' }).format(ms);

export function SyncBars({ days }: { days: Day[] }) {
  const most = Math.max(1, ...days.map((day) => day.records));
  const jobs = days.reduce((sum, day) => sum + day.jobs, 0);
  const step = WIDTH / days.length;
  const statuses = [...new Set(days.flatMap((day) => day.parts.map((part) => part.status)))];
  const totals = statuses.map((status) => ({
    status,
    jobs: days.reduce((sum, day) => sum + day.parts.filter((part) => part.status === status).reduce((inner, part) => inner + part.jobs, 0), 0),
  }));
  const inWords = totals.map((total) => `${total.jobs} ${statusWord(total.status)}`).join(', ');
  return (
    <figure style={{ margin: 0 }}>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        width="100%"
        height={HEIGHT}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${plural(jobs, '{count} job in 30 days', '{count} jobs in 30 days')}${inWords ? `: ${inWords}` : ''}`}
        style={{ display: 'block' }}
      >
        {days.map((day, n) => (
          <Tooltip.Floating key={day.atMs} label={<DayWords day={day} />}>
            <g>
              <rect x={n * step} y={0} width={step} height={HEIGHT} fill="transparent" />
              {day.jobs === 0 && <rect x={n * step + GAP / 2} y={HEIGHT - 2} width={step - GAP} height={2} fill="var(--mantine-color-default-border)" />}
              {bars(day, most).map((bar) => (
                <rect key={bar.status} x={n * step + GAP / 2} y={bar.y} width={step - GAP} height={bar.height} fill={colorOf(bar.status)} rx={1.5} />
              ))}
            </g>
          </Tooltip.Floating>
        ))}
      </svg>
      <Group justify="space-between" mt={6} gap="xs" component="figcaption">
        <Text size="xs" c="dimmed">
          {dayText(days[0]!.atMs)}
        </Text>
        <Group gap="md">
          {totals.map((total) => (
            <Group key={total.status} gap={5} wrap="nowrap">
              <span aria-hidden style={{ width: 9, height: 9, borderRadius: 2, background: colorOf(total.status) }} />
              <Text size="xs" className="numbers">
                {total.jobs} {statusWord(total.status)}
              </Text>
            </Group>
          ))}
        </Group>
        <Text size="xs" c="dimmed">
          {t('today')}
        </Text>
      </Group>
    </figure>
  );
}

/** The bars of a day from the bottom, the best result first. Each is seen, however few records it has. */
function bars(day: Day, most: number): { status: string; y: number; height: number }[] {
  const space = HEIGHT - 2 - MIN_PX * day.parts.length;
  let y = HEIGHT;
  return [...day.parts].reverse().map((part) => {
    const height = MIN_PX + (space * part.records) / most;
    y -= height;
    return { status: part.status, y, height: Math.max(1, height - 1) };
  });
}

function DayWords({ day }: { day: Day }) {
  return (
    <>
      <Text size="xs" fw={600}>
        {dayText(day.atMs)}
      </Text>
      {day.parts.map((part) => (
        <Text key={part.status} size="xs">
          {part.jobs} {statusWord(part.status)}, {plural(part.records, '{count} record', '{count} records')}
        </Text>
      ))}
      {day.jobs === 0 && <Text size="xs">{t('No job')}</Text>}
    </>
  );
}
