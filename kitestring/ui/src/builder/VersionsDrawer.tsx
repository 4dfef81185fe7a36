/** The published versions of a project: notes, what is different now, the YAML, and the way back. */
import { Badge, Button, Card, Drawer, Group, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconArrowBackUp, IconDownload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { ErrorNote } from '../shell/ErrorNote';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import { type ConnectorVersion, downloadYaml, type Project, versionQuery, versionsQuery } from './projects';
import { TextDifference } from './TextDifference';

interface Props {
  opened: boolean;
  close: () => void;
  project: Project;
  text: string;
  /** Put the text of a version into the editor; it is a step that can be undone. */
  restore?: (manifest: string) => void;
}

export function VersionsDrawer({ opened, close, ...rest }: Props) {
  return (
    <Drawer opened={opened} onClose={close} position="right" size="xl" title={t('Versions')} closeButtonProps={{ 'aria-label': t('Close') }}>
      {opened && <Versions {...rest} close={close} />}
    </Drawer>
  );
}

function Versions({ project, ...rest }: Omit<Props, 'opened'>) {
  const versions = useQuery(versionsQuery(project.projectId));
  if (versions.error) return <ErrorNote error={versions.error} retry={() => void versions.refetch()} />;
  if (!versions.data) return <Skeleton h={160} role="status" aria-label={t('Loading')} />;
  if (versions.data.length === 0)
    return (
      <Text size="sm" c="dimmed">
        {t('Nothing is published yet. Each publication is kept here with its note and its text.')}
      </Text>
    );
  return (
    <Stack>
      {versions.data.map((version) => (
        <Version key={version.version} project={project} version={version} {...rest} />
      ))}
    </Stack>
  );
}

function Version({ project, version, text, restore, close }: Omit<Props, 'opened'> & { version: ConnectorVersion }) {
  const [opened, setOpened] = useState(false);
  const whole = useQuery({ ...versionQuery(project.projectId, version.version), enabled: opened });
  return (
    <Card withBorder padding="md" component="section" aria-label={t('Version {version}', { version: version.version })}>
      <Stack gap="xs">
        <Group justify="space-between" gap="xs">
          <Group gap={8}>
            <Title order={3} size="h6">
              {t('Version {version}', { version: version.version })}
            </Title>
            {version.current && (
              <Badge variant="light" color="teal" tt="none" radius="sm" c="var(--mantine-color-text)">
                {t('Current')}
              </Badge>
            )}
            {version.breaking && (
              <Badge variant="light" color="red" tt="none" radius="sm" c="var(--mantine-color-text)">
                {t('breaking')}
              </Badge>
            )}
          </Group>
          <Button size="compact-sm" variant="default" aria-expanded={opened} onClick={() => setOpened(!opened)}>
            {opened ? t('Close') : t('Compare and bring back')}
          </Button>
        </Group>
        <Text size="sm" c="dimmed">
          <Time ms={version.createdAtMs} /> · {version.createdBy} · {plural(version.sources, '{count} source', '{count} sources')}
        </Text>
        {version.note && (
          <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
            {version.note}
          </Text>
        )}
        {opened && whole.error && <ErrorNote error={whole.error} />}
        {opened && whole.isPending && <Skeleton h={80} />}
        {opened && whole.data && (
          <>
            <TextDifference before={whole.data.manifest} after={text} label={t('From version {version} to the text of now', { version: version.version })} />
            <Group gap="xs">
              <Button size="xs" variant="default" leftSection={<IconDownload size={14} aria-hidden />} onClick={() => downloadYaml(`${project.name} ${version.version}`, whole.data.manifest)}>
                {t('Download')}
              </Button>
              {restore && whole.data.manifest !== text && (
                <Button
                  size="xs"
                  variant="default"
                  leftSection={<IconArrowBackUp size={14} aria-hidden />}
                  onClick={() => {
                    restore(whole.data.manifest);
                    close();
                  }}
                >
                  {t('Bring this text back')}
                </Button>
              )}
            </Group>
          </>
        )}
      </Stack>
    </Card>
  );
}
