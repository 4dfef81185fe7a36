/** The version of a built connector that a source runs: what another one changes for its connections, and the change. */
import { Alert, Anchor, Button, Group, List, Modal, Select, Skeleton, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { api, OWN } from '../api/client';
import { queryClient } from '../api/queries';
import type { SourceVersionChange, SourceVersionPlan, SourceVersions } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess } from '../shell/notify';
import { plural, t } from '../text';
import { VersionChanges } from '../builder/VersionChanges';

const pathOf = (sourceId: string) => `${OWN}/sources/${sourceId}/connector-version`;

export function SourceVersion({ sourceId, mayEdit }: { sourceId: string; mayEdit: boolean }) {
  const versions = useQuery({ queryKey: ['endpoints', 'source', 'one', sourceId, 'version'], queryFn: () => api.get<SourceVersions>(pathOf(sourceId)), retry: false });
  const [opened, setOpened] = useState(false);
  if (!versions.data) return null;
  const { version, projectId, data } = versions.data;
  const newest = data.find((each) => each.current);
  return (
    <Group gap="xs">
      <Text size="sm" fw={600}>
        {t('Version')}
      </Text>
      <Text size="sm">
        {version}
        {newest && newest.version > version && ` · ${t('{version} is the newest', { version: newest.version })}`}
      </Text>
      {mayEdit && data.length > 1 && (
        <Button size="compact-sm" variant="default" onClick={() => setOpened(true)}>
          {newest && newest.version > version ? t('Upgrade …') : t('Change …')}
        </Button>
      )}
      {projectId && (
        <Anchor component={Link} to={`/builder/${projectId}`} size="sm" underline="always">
          {t('Open in the builder')}
        </Anchor>
      )}
      <Modal opened={opened} onClose={() => setOpened(false)} size="lg" title={t('Another version')} closeButtonProps={{ 'aria-label': t('Close') }}>
        {opened && <Choice sourceId={sourceId} versions={versions.data} close={() => setOpened(false)} />}
      </Modal>
    </Group>
  );
}

function Choice({ sourceId, versions, close }: { sourceId: string; versions: SourceVersions; close: () => void }) {
  const others = versions.data.filter((each) => each.version !== versions.version);
  const [version, setVersion] = useState(others.find((each) => each.current)?.version ?? others[0]!.version);
  const plan = useQuery({
    queryKey: ['endpoints', 'source', 'one', sourceId, 'version', version],
    queryFn: () => api.ask<SourceVersionPlan>(`${pathOf(sourceId)}/plan`, { version }),
    retry: false,
    gcTime: 0,
  });
  const changing = useMutation({
    mutationFn: () => api.post<SourceVersionChange>(pathOf(sourceId), { version }),
    onSuccess: async ({ paused }) => {
      notifySuccess(
        paused.length > 0
          ? plural(paused.length, 'Version {version} runs. {count} connection is paused: look at it before it goes on.', 'Version {version} runs. {count} connections are paused: look at them before they go on.', { version })
          : t('Version {version} runs from the next sync on.', { version }),
      );
      close();
      await Promise.all(['endpoints', 'connections', 'connection'].map((name) => queryClient.invalidateQueries({ queryKey: [name] })));
    },
  });
  const note = others.find((each) => each.version === version)?.note;
  const affected = (plan.data?.connections ?? []).filter((connection) => connection.reasons.length > 0);
  return (
    <Stack>
      <Select
        label={t('Version')}
        data={others.map((each) => ({ value: String(each.version), label: each.current ? t('{version}, the newest', { version: each.version }) : String(each.version) }))}
        value={String(version)}
        onChange={(value) => setVersion(Number(value))}
        allowDeselect={false}
      />
      {note && (
        <Text size="sm" style={{ whiteSpace: 'pre-wrap' }}>
          {note}
        </Text>
      )}
      {plan.error && <ErrorNote error={plan.error} />}
      {plan.isPending && <Skeleton h={100} role="status" aria-label={t('Loading')} />}
      {plan.data && <VersionChanges changes={plan.data.changes} />}
      {plan.data?.problem && (
        <Alert color="red" variant="light" icon={<IconAlertTriangle aria-hidden />} title={t('The configuration of the source does not fit this version')}>
          <Text size="sm" c="var(--mantine-color-text)">
            {plan.data.problem}
          </Text>
        </Alert>
      )}
      {affected.length > 0 && (
        <Alert color="yellow" variant="light" icon={<IconAlertTriangle aria-hidden />} title={plural(affected.length, '{count} connection is paused', '{count} connections are paused')}>
          <List size="sm">
            {affected.map((connection) => (
              <List.Item key={connection.connectionId}>
                {connection.name}: {connection.reasons.join(' ')}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
      {changing.error && <ErrorNote error={changing.error} />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={close}>
          {t('Cancel')}
        </Button>
        <Button color={plan.data?.breaking ? 'red.8' : undefined} disabled={!plan.data} loading={changing.isPending} onClick={() => changing.mutate()}>
          {t('Run version {version}', { version })}
        </Button>
      </Group>
    </Stack>
  );
}
