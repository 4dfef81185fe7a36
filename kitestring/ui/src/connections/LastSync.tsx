/** How the last job of a connection came out, in a line or two. */
import { Group, Text } from '@mantine/core';

import type { Overview } from '../api/shapes';
import { duration, short } from '../shell/format';
import { Time } from '../shell/Time';
import { ACTIVE } from './overviews';

export function LastSync({ one }: { one: Overview }) {
  const job = one.job;
  if (!job)
    return (
      <Text size="sm" c="dimmed">
        –
      </Text>
    );
  const figures = job.figures;
  const running = ACTIVE.includes(job.status);
  const parts = [
    figures.read !== undefined ? `${short(figures.read)} records` : undefined,
    figures.embedded ? `${short(figures.embedded)} chunks embedded` : undefined,
    figures.reused ? `${short(figures.reused)} reused` : undefined,
    !running && job.startedAtMs && job.endedAtMs ? duration(job.endedAtMs - job.startedAtMs) : undefined,
  ].filter(Boolean);
  return (
    <>
      <Text size="sm">
        {running ? (
          <>
            began <Time ms={job.startedAtMs ?? job.createdAtMs} />
          </>
        ) : (
          <Time ms={job.endedAtMs ?? job.createdAtMs} />
        )}
        {job.kind !== 'sync' && ` · ${job.kind}`}
      </Text>
      <Group gap={4}>
        <Text size="xs" c="dimmed" className="numbers">
          {parts.join(' · ')}
        </Text>
      </Group>
    </>
  );
}
