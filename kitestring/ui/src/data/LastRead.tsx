/** Why a stream has another number of rows than its last sync read: records that came more than once, or did not pass. */
import { Anchor, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';

import type { DataStream, StreamResult } from '../api/schema.gen';
import { connectionQuery } from '../connections/overviews';
import { plural, t } from '../text';

/** The last sync of the only connection that writes the stream: with several, no one of them explains the number. */
export function LastRead({ stream }: { stream: DataStream }) {
  const [writer, ...others] = stream.writers;
  const only = writer !== undefined && others.length === 0;
  const connection = useQuery({ ...connectionQuery(writer?.connectionId ?? ''), enabled: only, refetchInterval: false, retry: false });
  const last = only ? connection.data?.streams.find(({ key }) => key === writer.stream)?.last : undefined;
  const reasons = last ? differences(last) : [];
  if (!last || reasons.length === 0) return null;
  return (
    <Text size="sm" c="dimmed">
      {plural(last.read ?? 0, 'The last sync read {count} record', 'The last sync read {count} records')}: {reasons.join('; ')}.{' '}
      <Anchor component={Link} to={`/jobs/${last.jobId}` as never} size="sm">
        {t('Job {number}', { number: String(last.jobId) })}
      </Anchor>
    </Text>
  );
}

type Counts = Pick<StreamResult, 'unchanged' | 'superseded' | 'filtered' | 'rejected' | 'deleted'>;

/** What became of the records that are no rows of their own. */
export function differences({ unchanged = 0, superseded = 0, filtered = 0, rejected = 0, deleted = 0 }: Counts): string[] {
  return [
    unchanged > 0 && plural(unchanged, '{count} was there already, or is a deletion of a record that was never there', '{count} were there already, or are deletions of records that were never there'),
    superseded > 0 && plural(superseded, '{count} came a second time, and the last version is kept', '{count} came more than once, and the last version of each is kept'),
    filtered > 0 && plural(filtered, '{count} did not pass the filters', '{count} did not pass the filters'),
    rejected > 0 && plural(rejected, '{count} was rejected', '{count} were rejected'),
    deleted > 0 && plural(deleted, '{count} was a deletion', '{count} were deletions'),
  ].filter((reason) => reason !== false);
}
