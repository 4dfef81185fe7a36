/** The prefix of a connection's streams, and what another one means for what is stored already. */
import { Stack, Text, TextInput } from '@mantine/core';

import { api, OWN } from '../api/client';
import type { ConnectionDetail } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';
import { RichText } from '../form/RichText';
import type { Confirmation } from '../shell/Confirm';
import { t } from '../text';

export function PrefixField({ prefix, onChange, error }: { prefix: string; onChange: (prefix: string) => void; error?: string }) {
  return (
    <TextInput
      label={t('Prefix of the streams')}
      description={t('Begins the name of each stream in the destination. Empty: the names stay.')}
      value={prefix}
      error={error}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}

/** Why the prefix cannot be changed now. */
export function prefixProblem(connection: ConnectionDetail): string | undefined {
  return connection.job && ACTIVE.includes(connection.job.status) ? t('A job is running: change the prefix when it has ended.') : undefined;
}

/** The question before another prefix is saved. The state is reset first: if saving then fails, the next sync reads more than it must, never less. */
export function prefixDialog(connection: ConnectionDetail, prefix: string, save: () => Promise<unknown>): Confirmation {
  const stream = connection.streams[0]?.name ?? '';
  return {
    title: t('Write the streams under other names?'),
    body: (
      <Stack gap="xs">
        <Text size="sm">
          <RichText
            text={t('From the next sync on, the stream {stream} is written as `{after}` in {destination}, no longer as `{before}`.', {
              stream,
              before: `${connection.prefix}${stream}`,
              after: `${prefix}${stream}`,
              destination: connection.destination.name,
            })}
          />
        </Text>
        <Text size="sm">{t('What is stored under the present names stays, and is not updated any more.')}</Text>
        <Text size="sm">{t('The state of all streams is reset, so that the next sync reads everything and fills the new names.')}</Text>
      </Stack>
    ),
    action: t('Save and reset the state'),
    run: async () => {
      await api.delete(`${OWN}/connections/${connection.connectionId}/state`);
      await save();
    },
  };
}
