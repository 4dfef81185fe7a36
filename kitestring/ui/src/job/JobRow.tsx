/** One job in a table. */
import { Anchor, Table, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';

import type { ListedJob } from '../api/schema.gen';
import { count, duration, size } from '../shell/format';
import { StatusBadge } from '../shell/StatusBadge';
import { Time } from '../shell/Time';

const CAUSES: Record<string, string> = {
  schedule: 'scheduled',
  manual: 'manual',
  api: 'through the API',
  schema: 'after a schema change',
};

export function causeWords(cause: string): string {
  return CAUSES[cause] ?? cause;
}

export function kindWord(kind: string): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}

export function JobRow({ job, connection }: { job: ListedJob; connection?: string }) {
  return (
    <Table.Tr>
      <Table.Td>
        <Anchor component={Link} to={`/jobs/${job.jobId}`} size="sm" fw={600}>
          {kindWord(job.kind)} {job.jobId}
        </Anchor>
        <Text size="xs" c="dimmed">
          {connection && `${connection} · `}
          {causeWords(job.cause)}
          {job.attempts > 1 && ` · ${job.attempts} attempts`}
        </Text>
      </Table.Td>
      <Table.Td maw={380}>
        <StatusBadge status={job.status} />
        {job.error && job.status !== 'succeeded' && (
          <Text size="xs" c="dimmed" mt={4} lineClamp={2}>
            {job.error.message}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <Text size="sm">
          <Time ms={job.startedAtMs ?? job.createdAtMs} />
        </Text>
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <Text size="sm">{job.startedAtMs && job.endedAtMs ? duration(job.endedAtMs - job.startedAtMs) : '–'}</Text>
      </Table.Td>
      <Table.Td visibleFrom="sm" ta="right">
        <Text size="sm" className="numbers">
          {count(job.records)}
        </Text>
        {job.bytes > 0 && (
          <Text size="xs" c="dimmed" className="numbers">
            {size(job.bytes)}
          </Text>
        )}
      </Table.Td>
    </Table.Tr>
  );
}
