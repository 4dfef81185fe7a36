/** The windows of a continuous job: how many ended and added up, and what did not. */
import { Alert, List, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';

import type { JobSummary } from '../api/schema.gen';
import { Time } from '../shell/Time';
import { plural, t } from '../text';

export function WindowsLine({ job }: { job: Pick<JobSummary, 'windows'> }) {
  const { windows } = job;
  if (!windows)
    return (
      <Text size="sm" c="dimmed" mt={4}>
        {t('Not reconciled yet: the first window is open.')}
      </Text>
    );
  return (
    <Text size="sm" c="dimmed" mt={4} className="numbers">
      {plural(windows.ended, '{count} window reconciled', '{count} windows reconciled')}
      {windows.suspicious > 0 && ` · ${t('{count} of them suspicious', { count: windows.suspicious })}`}
      {windows.endedAtMs !== null && (
        <>
          {' · '}
          {t('the last one')} <Time ms={windows.endedAtMs} />
        </>
      )}
    </Text>
  );
}

export function WindowSuspicions({ job }: { job: Pick<JobSummary, 'windows'> }) {
  const reasons = job.windows?.reasons ?? [];
  if (reasons.length === 0) return null;
  return (
    <Alert color="yellow" variant="light" icon={<IconAlertTriangle aria-hidden />} title={t('A window of this job did not add up')}>
      <List size="sm">
        {reasons.map((reason) => (
          <List.Item key={reason} style={{ overflowWrap: 'anywhere' }}>
            {reason}
          </List.Item>
        ))}
      </List>
    </Alert>
  );
}
