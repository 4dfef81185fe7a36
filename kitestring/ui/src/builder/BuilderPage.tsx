/** The connectors that a workspace builds: by name, with what is published of each. */
import { ActionIcon, Anchor, Badge, Button, Card, Group, Menu, Skeleton, Stack, Text } from '@mantine/core';
import { IconDots, IconDownload, IconPlus, IconPuzzle, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { api } from '../api/client';
import { ConnectorIcon } from '../catalog/ConnectorIcon';
import { useWorkspace } from '../session/session';
import { Confirm, type Confirmation } from '../shell/Confirm';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { notifyError, notifySuccess } from '../shell/notify';
import { PageHeader } from '../shell/PageHeader';
import { Time } from '../shell/Time';
import { t } from '../text';
import classes from './builder.module.css';
import { deleteProject, downloadYaml, type Project, PROJECTS, projectsQuery, type ProjectSummary } from './projects';

export function BuilderPage() {
  const { workspaceId, may } = useWorkspace();
  const projects = useQuery(projectsQuery(workspaceId));
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const create = may('editor') && (
    <Button component={Link} to="/builder/new" leftSection={<IconPlus size={16} aria-hidden />}>
      {t('New connector')}
    </Button>
  );
  const what = t('Make a source of any HTTP API: a form and its YAML, tested on the real API as you go. No code.');
  return (
    <>
      <PageHeader title={t('Builder')} note={what}>
        {projects.data && projects.data.length > 0 && create}
      </PageHeader>
      {projects.error && <ErrorNote error={projects.error} retry={() => void projects.refetch()} />}
      {projects.isPending && <Skeleton height={160} />}
      {projects.data?.length === 0 && (
        <Card withBorder>
          <EmptyState icon={<IconPuzzle size={28} aria-hidden />} title={t('No connector of your own yet')} action={create}>
            {t('Begin with an address, a cURL line, an OpenAPI document or a manifest. What you publish is a source of this workspace.')}
          </EmptyState>
        </Card>
      )}
      {projects.data && projects.data.length > 0 && (
        <Card withBorder padding={0}>
          <ul className={classes.rows}>
            {projects.data.map((project) => (
              <Row key={project.projectId} project={project} mayEdit={may('editor')} confirm={setConfirmation} />
            ))}
          </ul>
        </Card>
      )}
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </>
  );
}

function Row({ project, mayEdit, confirm }: { project: ProjectSummary; mayEdit: boolean; confirm: (confirmation: Confirmation) => void }) {
  const { projectId, name } = project;
  return (
    <li className={classes.row}>
      <Group gap="sm" wrap="nowrap" miw={0}>
        <ConnectorIcon type={name} name={name} svg={project.icon} size={32} />
        <div style={{ minWidth: 0 }}>
          <Anchor component={Link} to={`/builder/${projectId}`} fw={600} className={classes.wrap}>
            {name}
          </Anchor>
          <Text size="xs" c="dimmed">
            {originOf(project)}
          </Text>
        </div>
      </Group>
      <Stack gap={2} align="flex-start">
        <Published project={project} />
      </Stack>
      <Text size="sm" c="dimmed">
        {t('Changed')} <Time ms={project.updatedAtMs} />
      </Text>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t('Actions for {name}', { name })}>
            <IconDots size={18} aria-hidden />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconDownload size={15} aria-hidden />}
            onClick={() => {
              api
                .get<Project>(`${PROJECTS}/${projectId}`)
                .then((whole) => downloadYaml(whole.name, whole.manifest))
                .catch(notifyError);
            }}
          >
            {t('Download the YAML')}
          </Menu.Item>
          {mayEdit && (
            <Menu.Item
              color="red"
              leftSection={<IconTrash size={15} aria-hidden />}
              onClick={() =>
                confirm({
                  title: t('Delete {name}?', { name }),
                  body:
                    project.publishedVersion === null
                      ? t('The project was never published: its manifest and the inputs of its tests are lost.')
                      : t('The project is deleted. The connector that it published stays, and its sources continue to run.'),
                  action: t('Delete the project'),
                  danger: true,
                  run: async () => {
                    await deleteProject(projectId);
                    notifySuccess(t('{name} was deleted.', { name }));
                  },
                })
              }
            >
              {t('Delete …')}
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
    </li>
  );
}

export function Published({ project }: { project: Pick<ProjectSummary, 'publishedVersion' | 'changedSincePublished'> }) {
  if (project.publishedVersion === null)
    return (
      <Badge variant="light" color="gray" tt="none" radius="sm" c="var(--mantine-color-text)">
        {t('Not published')}
      </Badge>
    );
  return (
    <Group gap={6}>
      <Badge variant="light" color="teal" tt="none" radius="sm" c="var(--mantine-color-text)">
        {t('Version {version}', { version: project.publishedVersion })}
      </Badge>
      {project.changedSincePublished && (
        <Text size="xs" c="dimmed">
          {t('changed since')}
        </Text>
      )}
    </Group>
  );
}

function originOf({ origin }: ProjectSummary): string {
  switch (origin?.kind) {
    case 'url':
      return t('From an address');
    case 'curl':
      return t('From a cURL line');
    case 'openapi':
      return t('From an OpenAPI document');
    case 'har':
      return t('From a HAR file');
    case 'manifest':
      return t('From a manifest');
    case 'connector':
      return origin.version ? t('A copy of {name} {version}', { name: origin.name ?? '', version: origin.version }) : t('A copy of {name}', { name: origin.name ?? '' });
    default:
      return t('From nothing');
  }
}
