/** One connector from a registry: its versions, the breaking changes between them, update, check and the way back. */
import { Alert, Anchor, Badge, Button, Group, Paper, Stack, Text, Title } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { api, OWN } from '../api/client';
import type { CheckResult, ConnectorUpdate } from '../api/schema.gen';
import { ConnectorIcon } from '../catalog/ConnectorIcon';
import { install } from '../endpoint/endpoints';
import { ErrorNote } from '../shell/ErrorNote';
import { plural, t } from '../text';

interface Check {
  id: string;
  name: string;
  result: CheckResult;
}

export function ConnectorCard({ connector, server, onChanged }: { connector: ConnectorUpdate; server: boolean; onChanged: () => Promise<void> }) {
  const { kind, definitionId, name, version, newest, newer, breaking, endpoints } = connector;
  const [checks, setChecks] = useState<Check[]>([]);
  /** Check all that use the connector, one after another: each starts a process. */
  const checkAll = async () => {
    setChecks([]);
    for (const endpoint of endpoints) {
      const result = await api.post<CheckResult>(`${OWN}/${kind}s/${endpoint.id}/check`);
      setChecks((before) => [...before, { ...endpoint, result }]);
    }
  };
  const updating = useMutation({
    mutationFn: async () => {
      await install(kind, definitionId);
      await onChanged();
      await checkAll();
    },
  });
  const returning = useMutation({
    mutationFn: async (other: string) => {
      await api.post(`${OWN}/connector-updates/${kind}/${definitionId}/use`, { version: other });
      await onChanged();
      await checkAll();
    },
  });
  const pending = updating.isPending || returning.isPending;
  const failed = checks.filter((check) => check.result.status === 'failed');
  return (
    <Paper withBorder p="md" component="section" aria-label={name}>
      <Stack gap="xs">
        <Group justify="space-between" gap="xs">
          <Group gap="sm">
            <ConnectorIcon type={connector.connector} name={name} size={28} />
            <div>
              <Title order={2} size="h5">
                {name}
              </Title>
              <Text size="sm" c="dimmed">
                {version ? t('Version {version}', { version }) : t('Not installed')}
                {' · '}
                {kind === 'source' ? plural(endpoints.length, '{count} source', '{count} sources') : plural(endpoints.length, '{count} destination', '{count} destinations')}
              </Text>
            </div>
            {newer && (
              <Badge variant="light" tt="none">
                {t('{version} is available', { version: newest })}
              </Badge>
            )}
          </Group>
          {server && connector.origin === 'registry' && newer && (
            <Button loading={updating.isPending} disabled={pending} onClick={() => updating.mutate()}>
              {t('Update to {version} and check', { version: newest })}
            </Button>
          )}
        </Group>
        {connector.origin === 'custom' && (
          <Text size="sm" c="dimmed">
            {t('A custom connector sets its own version: change it in its definition.')}
          </Text>
        )}
        {newer && breaking.length > 0 && (
          <Alert color="yellow" variant="light" icon={<IconAlertTriangle size={18} aria-hidden />} title={plural(breaking.length, '{count} breaking change', '{count} breaking changes')}>
            <ul style={{ margin: 0, paddingInlineStart: 18 }}>
              {breaking.map((change) => (
                <li key={change.version}>
                  <Text size="sm">
                    <strong>{change.version}</strong>
                    {': '}
                    {change.message} {change.deadline && t('By {day}.', { day: change.deadline })}{' '}
                    {change.docs && (
                      <Anchor href={change.docs} target="_blank" rel="noreferrer" size="sm" underline="always">
                        {t('Migration guide')}
                      </Anchor>
                    )}
                  </Text>
                </li>
              ))}
            </ul>
          </Alert>
        )}
        {newer && breaking.length === 0 && (
          <Text size="sm" c="dimmed">
            {t('The registry lists no breaking change between these versions.')}
          </Text>
        )}
        {updating.error && <ErrorNote error={updating.error} />}
        {returning.error && <ErrorNote error={returning.error} />}
        {checks.length > 0 && (
          <ul role="status" style={{ margin: 0, padding: 0, listStyle: 'none' }}>
            {checks.map((check) => (
              <li key={check.id}>
                <Group gap={6} wrap="nowrap" align="flex-start">
                  {check.result.status === 'succeeded' ? (
                    <IconCircleCheck size={16} aria-hidden color="var(--mantine-color-green-7)" />
                  ) : (
                    <IconCircleX size={16} aria-hidden color="var(--mantine-color-red-7)" style={{ flex: 'none' }} />
                  )}
                  <Text size="sm">
                    <Anchor component={Link} to={`/${kind}s/${check.id}`} size="sm" underline="always">
                      {check.name}
                    </Anchor>
                    {': '}
                    {check.result.status === 'succeeded' ? t('works') : `${check.result.message} ${check.result.hint}`}
                  </Text>
                </Group>
              </li>
            ))}
          </ul>
        )}
        {server && connector.others.length > 0 && (
          <Group gap="xs">
            <Text size="sm" c={failed.length > 0 ? undefined : 'dimmed'}>
              {failed.length > 0 ? t('The check failed. Go back to a version that worked:') : t('Also installed:')}
            </Text>
            {connector.others.map((other) => (
              <Button key={other} size="compact-sm" variant="default" loading={returning.isPending && returning.variables === other} disabled={pending} onClick={() => returning.mutate(other)}>
                {t('Use {version}', { version: other })}
              </Button>
            ))}
          </Group>
        )}
      </Stack>
    </Paper>
  );
}
