/** The Python components that a manifest carries: their code to read, and whether an instance admin lets it run. */
import { Alert, Badge, Button, Code, Group, ScrollArea, Skeleton, Stack, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api } from '../api/client';
import type { ComponentApproval } from '../api/schema.gen';
import { sessionQuery } from '../session/session';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { Time } from '../shell/Time';
import { t } from '../text';
import type { Doc } from './document/document';
import { BUILDER } from './projects';

const COMPONENTS = `${BUILDER}/components`;
const TYPED_MS = 400;

export function PythonComponents({ doc }: { doc: Doc }) {
  const code = doc.get(['metadata', 'components_py']);
  const [settled] = useDebouncedValue(typeof code === 'string' ? code : '', TYPED_MS);
  return settled === '' ? null : <Components code={settled} />;
}

function Components({ code }: { code: string }) {
  const client = useQueryClient();
  const queryKey = ['builder', 'components', code];
  const approval = useQuery({ queryKey, queryFn: () => api.post<ComponentApproval>(COMPONENTS, { code }) });
  const isInstanceAdmin = useQuery(sessionQuery).data?.instanceAdmin ?? false;
  const [opened, setOpened] = useState(false);
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  if (approval.error) return <ErrorNote error={approval.error} retry={() => void approval.refetch()} />;
  if (!approval.data) return <Skeleton h={60} role="status" aria-label={t('Loading')} />;
  const { digest, possible, approved, approvedBy, approvedAtMs } = approval.data;
  const path = `${COMPONENTS}/${digest}/approval`;

  const approve = () =>
    setConfirmation({
      title: t('Approve these Python components?'),
      body: t(
        'The code runs as a process of the jobs of this server: it can read the files of the server, and reach every address that the server reaches. It runs in every connector with exactly this code. Approve only what you have read and understood.',
      ),
      action: t('Approve the code'),
      danger: true,
      run: async () => {
        client.setQueryData(queryKey, await api.post<ComponentApproval>(path, { code }));
      },
    });
  const revoke = () =>
    setConfirmation({
      title: t('Revoke the approval?'),
      body: t('No check, test or sync that needs this code begins any more, in any connector.'),
      action: t('Revoke the approval'),
      danger: true,
      run: async () => {
        await api.delete(path);
        await client.invalidateQueries({ queryKey });
      },
    });

  return (
    <Alert component="section" role="region" color={approved && possible ? 'kite' : 'yellow'} variant="light" title={t('Python components')} aria-label={t('Python components')}>
      <Stack gap="xs">
        <Group gap="xs">
          <Badge variant="light" color={approved && possible ? 'teal' : 'yellow'} tt="none" radius="sm" c="var(--mantine-color-text)">
            {approved && possible ? t('Approved') : t('Not approved')}
          </Badge>
          <Text size="sm" c="var(--mantine-color-text)" role="status">
            {!possible
              ? t('This server runs no Python components.')
              : !approved
                ? t('The code does not run: an instance admin can approve it. Each change of it needs a new approval.')
                : t('Approved by {name}', { name: approvedBy ?? '' })}
          </Text>
          {approved && possible && approvedAtMs !== null && <Time ms={approvedAtMs} />}
        </Group>
        <Group gap="xs">
          <Button size="xs" variant="default" aria-expanded={opened} onClick={() => setOpened(!opened)}>
            {opened ? t('Hide the code') : t('Show the code')}
          </Button>
          {isInstanceAdmin && possible && !approved && (
            // What is approved has to be on the page.
            <Button size="xs" disabled={!opened} onClick={approve}>
              {t('Approve')}
            </Button>
          )}
          {isInstanceAdmin && approved && (
            <Button size="xs" variant="default" onClick={revoke}>
              {t('Revoke')}
            </Button>
          )}
        </Group>
        {opened && (
          <>
            <ScrollArea.Autosize mah={360} type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('Code of the Python components') }}>
              <Code block>{code}</Code>
            </ScrollArea.Autosize>
            <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
              {t('SHA-256: {digest}', { digest })}
            </Text>
          </>
        )}
      </Stack>
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </Alert>
  );
}
