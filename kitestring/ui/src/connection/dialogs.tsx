/** Confirmation dialogs for refresh and clear: they state which data is deleted, and when. */
import { Code, List, Stack, Text } from '@mantine/core';

import { api, OWN } from '../api/client';
import type { ConnectionDetail, JobSummary } from '../api/schema.gen';
import type { Confirmation } from '../shell/Confirm';
import { notifySuccess } from '../shell/notify';
import { plural, t } from '../text';

const MAX_NAMES = 8;

export function refreshDialog(connection: ConnectionDetail, keys: string[], invalidate: () => Promise<void>): Confirmation {
  return {
    title: t('Refresh {streams}?', { streams: streamsLabel(keys) }),
    body: (
      <Stack gap="xs">
        <Names keys={keys} />
        <Text size="sm">
          {t('The state is set aside and all data is read again from {source}.', { source: connection.source.name })}{' '}
          <b>
            {t('The data in {destination} is deleted and replaced at the end of the job, once the new data is complete.', {
              destination: connection.destination.name,
            })}
          </b>{' '}
          {t('Until then, and if the job fails, the old data stays.')} {lastWritten(connection, keys)}
        </Text>
      </Stack>
    ),
    action: t('Delete and replace'),
    danger: true,
    run: async () => {
      await api.post<JobSummary>(`${OWN}/connections/${connection.connectionId}/refresh`, { streams: keys, mode: 'truncate' });
      notifySuccess(t('Refresh started.'));
      await invalidate();
    },
  };
}

export function clearDialog(connection: ConnectionDetail, keys: string[], invalidate: () => Promise<void>): Confirmation {
  return {
    title: t('Clear {streams}?', { streams: streamsLabel(keys) }),
    body: (
      <Stack gap="xs">
        <Names keys={keys} />
        <Text size="sm">
          <b>
            {plural(keys.length, 'All data of this stream is deleted from {destination}.', 'All data of these streams is deleted from {destination}.', {
              destination: connection.destination.name,
            })}
          </b>{' '}
          {t('The state is deleted too. It stays empty until the next sync reads everything from the beginning. This cannot be undone.')}{' '}
          {lastWritten(connection, keys)}
        </Text>
      </Stack>
    ),
    action: t('Delete the data'),
    danger: true,
    type: keys.length === 1 ? keys[0] : String(keys.length),
    run: async () => {
      await api.post<JobSummary>(`${OWN}/connections/${connection.connectionId}/clear`, { streams: keys });
      notifySuccess(t('Clear started.'));
      await invalidate();
    },
  };
}

function streamsLabel(keys: string[]): string {
  return keys.length === 1 ? keys[0]! : plural(keys.length, '{count} stream', '{count} streams');
}

function Names({ keys }: { keys: string[] }) {
  if (keys.length === 1) return null;
  return (
    <List size="sm" listStyleType="none">
      {keys.slice(0, MAX_NAMES).map((key) => (
        <List.Item key={key}>
          <Code>{key}</Code>
        </List.Item>
      ))}
      {keys.length > MAX_NAMES && <List.Item>{t('and {count} more', { count: keys.length - MAX_NAMES })}</List.Item>}
    </List>
  );
}

/** The number of records that the last sync wrote: a hint, not the number stored now. */
function lastWritten(connection: ConnectionDetail, keys: string[]): string {
  const written = connection.streams
    .filter((stream) => keys.includes(stream.key))
    .reduce((sum, stream) => sum + (stream.last?.written ?? 0), 0);
  return written > 0 ? t('(Records written by the last job: {count}.)', { count: written }) : '';
}
