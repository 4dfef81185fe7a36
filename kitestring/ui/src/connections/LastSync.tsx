/** The result of a connection's last job in one line. */
import { Text } from '@mantine/core';

import type { ConnectionOverview, LastJob } from '../api/schema.gen';
import { duration, short } from '../shell/format';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import { ACTIVE } from './overviews';

export function LastSync({ connection }: { connection: ConnectionOverview }) {
  const job = connection.job;
  if (!job)
    return (
      <Text size="sm" c="dimmed">
        –
      </Text>
    );
  const figures = syncFigures(job);
  return (
    <Text span size="sm" className="numbers">
      {t('Last sync')} <SyncTime job={job} />
      {figures && ` · ${figures}`}
    </Text>
  );
}

/** When a job began, or how long ago it ended. */
export function SyncTime({ job }: { job: LastJob }) {
  const running = ACTIVE.includes(job.status);
  return (
    <>
      {running && `${t('started')} `}
      <Time ms={running ? (job.startedAtMs ?? job.createdAtMs) : (job.endedAtMs ?? job.createdAtMs)} />
      {job.kind !== 'sync' && ` · ${job.kind}`}
    </>
  );
}

/** The records that a sync read. Those that the source listed more than once are fewer at the destination. */
function recordsRead(read: number, repeated: number | undefined): string {
  const number = short(read);
  return repeated
    ? plural(read, '{number} record ({repeated} repeated)', '{number} records ({repeated} repeated)', { number, repeated: short(repeated) })
    : plural(read, '{number} record', '{number} records', { number });
}

/** “1,204 records (16 repeated) · 96 chunks embedded · 12 s”; with `brief` without the chunks. */
export function syncFigures(job: LastJob, brief = false): string {
  const { figures } = job;
  const running = ACTIVE.includes(job.status);
  const parts = [
    figures.read !== undefined ? recordsRead(figures.read, figures.superseded) : undefined,
    !brief && figures.chunks_embedded !== undefined ? plural(figures.chunks_embedded, '{number} chunk embedded', '{number} chunks embedded', { number: short(figures.chunks_embedded) }) : undefined,
    !brief && figures.chunks_reused ? t('{number} reused', { number: short(figures.chunks_reused) }) : undefined,
    !running && job.startedAtMs && job.endedAtMs ? duration(job.endedAtMs - job.startedAtMs) : undefined,
  ];
  return parts.filter(Boolean).join(' · ');
}
