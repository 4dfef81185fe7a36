/** The result of a connection's last job, in two lines or, with `line`, in one. */
import { Text } from '@mantine/core';

import type { ConnectionOverview } from '../api/schema.gen';
import { duration, short } from '../shell/format';
import { Time } from '../shell/Time';
import { ACTIVE } from './overviews';

export function LastSync({ connection, line = false }: { connection: ConnectionOverview; line?: boolean }) {
  const job = connection.job;
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
    figures.chunks_embedded !== undefined ? `${short(figures.chunks_embedded)} chunks embedded` : undefined,
    figures.chunks_reused ? `${short(figures.chunks_reused)} reused` : undefined,
    !running && job.startedAtMs && job.endedAtMs ? duration(job.endedAtMs - job.startedAtMs) : undefined,
  ].filter(Boolean);
  const when = (
    <>
      {running && 'started '}
      <Time ms={running ? (job.startedAtMs ?? job.createdAtMs) : (job.endedAtMs ?? job.createdAtMs)} />
      {job.kind !== 'sync' && ` · ${job.kind}`}
    </>
  );
  if (line)
    return (
      <Text span size="sm" className="numbers">
        Last sync {when}
        {parts.length > 0 && ` · ${parts.join(' · ')}`}
      </Text>
    );
  return (
    <>
      <Text size="sm">{when}</Text>
      <Text size="xs" c="dimmed" className="numbers">
        {parts.join(' · ')}
      </Text>
    </>
  );
}
