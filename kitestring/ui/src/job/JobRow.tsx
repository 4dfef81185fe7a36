/** One job of a list: a row, on a phone a card. */
import { Anchor, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { memo } from 'react';

import type { ListedJob } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';
import { count, duration, size } from '../shell/format';
import { StatusBadge } from '../shell/StatusBadge';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import styles from './job.module.css';
import { SyncProgress } from './SyncProgress';

const CAUSES: Record<string, () => string> = {
  schedule: () => t('scheduled'),
  manual: () => t('manual'),
  interface: () => t('from the web interface'),
  api: () => t('through the API'),
  schema: () => t('after a schema change'),
};

export function causeWords(cause: string): string {
  return CAUSES[cause]?.() ?? cause;
}

const KINDS: Record<string, () => string> = {
  sync: () => t('Sync'),
  refresh: () => t('Refresh'),
  clear: () => t('Clear'),
  backfill: () => t('Backfill'),
};

export function kindWord(kind: string): string {
  return KINDS[kind]?.() ?? kind;
}

export const JobRow = memo(function JobRow({ job, connection }: { job: ListedJob; connection?: string }) {
  const running = ACTIVE.includes(job.status);
  const notes = [
    causeWords(job.cause),
    job.attempts > 1 ? plural(job.attempts, '{count} attempt', '{count} attempts') : '',
  ].filter(Boolean);
  return (
    <div role="row" className={styles.job}>
      <div role="cell">
        <Anchor component={Link} to={`/jobs/${job.jobId}`} size="sm" fw={600}>
          {kindWord(job.kind)} {job.jobId}
        </Anchor>
        {connection && (
          <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
            {connection}
          </Text>
        )}
        <Text size="xs" c="dimmed">
          {notes.join(' · ')}
        </Text>
      </div>
      <div role="cell" className={styles.status}>
        <StatusBadge status={job.status} />
        {running && !!job.windows?.suspicious && <StatusBadge status="suspicious" />}
        {running && (
          <div style={{ marginTop: 6, maxWidth: 360 }}>
            <SyncProgress job={job} compact />
          </div>
        )}
        {job.error && job.status !== 'succeeded' && (
          <Text size="xs" c="dimmed" mt={4} lineClamp={2} style={{ overflowWrap: 'anywhere' }}>
            {job.error.message}
          </Text>
        )}
      </div>
      <div role="cell" className={styles.when}>
        <Text size="sm">
          <Time ms={job.startedAtMs ?? job.createdAtMs} />
        </Text>
      </div>
      <div role="cell" className={styles.figure}>
        <span className={styles.label}>{t('Duration')}</span>
        <Text size="sm">{job.startedAtMs && job.endedAtMs ? duration(job.endedAtMs - job.startedAtMs) : '–'}</Text>
      </div>
      <div role="cell" className={styles.figure}>
        <span className={styles.label}>{t('Records, size')}</span>
        <Text size="sm">{count(job.records)}</Text>
        {job.bytes > 0 && (
          <Text size="xs" c="dimmed">
            {size(job.bytes)}
          </Text>
        )}
      </div>
    </div>
  );
});
