/** Pauses and resumes a connection. While a job runs, it asks first: the job goes on, or stops at a checkpoint if it is continuous. */
import { Button } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useState } from 'react';

import type { ConnectionDetail } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';
import { useActions } from '../connections/useActions';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { t } from '../text';

export function PauseButton({ connection }: { connection: ConnectionDetail }) {
  const { pause, resume } = useActions(connection);
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const running = connection.job !== null && ACTIVE.includes(connection.job.status);
  if (connection.status !== 'active')
    return (
      <Button
        variant="default"
        leftSection={<IconPlayerPlay size={16} aria-hidden />}
        loading={resume.isPending}
        disabled={connection.changes !== null}
        onClick={() => resume.mutate()}
      >
        {t('Resume')}
      </Button>
    );
  const ask = () =>
    setConfirmation({
      title: t('Pause {name}?', { name: connection.name }),
      body: connection.job?.continuous
        ? t('The running job stops at its next checkpoint, once all that it read is written. No further job starts until you resume the connection.')
        : t('No further sync starts until you resume the connection. The job that runs now goes on to its end: “Cancel” beside “Pause” stops it.'),
      action: t('Pause further syncs'),
      run: () => pause.mutateAsync(),
    });
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconPlayerPause size={16} aria-hidden />}
        loading={pause.isPending}
        onClick={() => (running ? ask() : pause.mutate())}
      >
        {t('Pause')}
      </Button>
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </>
  );
}
