/** Publishing: what changes for those who use the connector, a note, and who gets the new version. */
import { Alert, Anchor, Button, Checkbox, Group, List, Modal, Skeleton, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { api } from '../api/client';
import { queryClient } from '../api/queries';
import type { PublicationPlan, PublicationSource, Published } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { plural, t } from '../text';
import { type Project, PROJECTS } from './projects';
import type { Saving } from './useSaving';
import { VersionChanges } from './VersionChanges';

interface Props {
  opened: boolean;
  close: () => void;
  saving: Saving;
  /** Go to a line of the text. */
  goTo: (line: number, column: number) => void;
}

export function PublishDialog({ opened, close, ...rest }: Props) {
  return (
    <Modal opened={opened} onClose={close} size="lg" title={t('Publish')} closeButtonProps={{ 'aria-label': t('Close') }}>
      {opened && <Body close={close} {...rest} />}
    </Modal>
  );
}

function Body({ close, saving, goTo }: Omit<Props, 'opened'>) {
  const { projectId } = saving.project;
  const [note, setNote] = useState('');
  const [name, setName] = useState(saving.project.name);
  /** Whether a source stays on its version, where that was chosen. */
  const [kept, setKept] = useState<ReadonlyMap<string, boolean>>(new Map());
  const plan = useQuery({
    queryKey: ['builder', 'project', projectId, 'plan', saving.project.revision],
    queryFn: async () => {
      const { revision } = await saving.save();
      return api.ask<PublicationPlan>(`${PROJECTS}/${projectId}/publish/plan`, { revision });
    },
    retry: false,
    gcTime: 0,
  });
  const publishing = useMutation({
    mutationFn: async () => {
      const upgrade = (plan.data?.sources ?? []).filter((source) => !(kept.get(source.sourceId) ?? source.problem !== '')).map(({ sourceId }) => sourceId);
      const { revision } = name.trim() === saving.project.name ? saving.project : await saving.save({ name: name.trim() });
      const published = await api.post<Published>(`${PROJECTS}/${projectId}/publish`, { revision, note: note.trim(), upgrade });
      saving.adopt(await api.get<Project>(`${PROJECTS}/${projectId}`));
      await Promise.all(['connectors', 'endpoints', 'builder'].map((name) => queryClient.invalidateQueries({ queryKey: [name], predicate: (query) => query.queryKey[1] !== 'project' || query.queryKey[3] === 'versions' })));
      return { ...published, upgraded: (plan.data?.sources ?? []).filter(({ sourceId }) => upgrade.includes(sourceId)) };
    },
  });

  if (publishing.data)
    return (
      <Stack>
        <Alert color="teal" variant="light" icon={<IconCircleCheck aria-hidden />} title={t('Version {version} is published.', { version: publishing.data.version })} role="status">
          {publishing.data.version === 1 ? (
            <Text size="sm">{t('{name} is a connector of this workspace now. A source of it holds real inputs, and connections move its data.', { name: saving.project.name })}</Text>
          ) : publishing.data.upgraded.length === 0 ? (
            <Text size="sm">{t('No source got it: each stays on its version.')}</Text>
          ) : (
            <>
              <Text size="sm">{plural(publishing.data.upgraded.length, '{count} source has this version now. Its next sync reads with it.', '{count} sources have this version now. Their next syncs read with it.')}</Text>
              <List size="sm" mt={4}>
                {publishing.data.upgraded.slice(0, 10).map((source) => (
                  <List.Item key={source.sourceId}>
                    <Anchor component={Link} to={`/sources/${source.sourceId}`} size="sm">
                      {source.name}
                    </Anchor>
                  </List.Item>
                ))}
              </List>
            </>
          )}
        </Alert>
        <Group justify="flex-end" gap="xs">
          <Button variant="subtle" onClick={close}>
            {t('Go on building')}
          </Button>
          <Button variant="default" component={Link} to="/sources/new" search={{ connector: publishing.data.definitionId } as never}>
            {t('Make a source of it')}
          </Button>
          <Button component={Link} to="/connections/new" search={{ connector: publishing.data.definitionId } as never} data-autofocus>
            {t('Make a connection with it')}
          </Button>
        </Group>
      </Stack>
    );
  if (plan.error) return <ErrorNote error={plan.error} retry={() => void plan.refetch()} />;
  if (!plan.data) return <Skeleton h={160} role="status" aria-label={t('Loading')} />;
  const { changes, defects, sources, breaking } = plan.data;
  const isKept = (source: PublicationSource) => kept.get(source.sourceId) ?? source.problem !== '';
  if (defects.length > 0)
    return (
      <Stack>
        <Alert color="red" variant="light" icon={<IconAlertTriangle aria-hidden />} title={plural(defects.length, '{count} defect stands in the way', '{count} defects stand in the way')} role="alert">
          <List size="sm">
            {defects.slice(0, 20).map((defect) => (
              <List.Item key={`${defect.line}:${defect.column} ${defect.message}`}>
                {defect.line > 0 && (
                  <Button
                    size="compact-xs"
                    variant="subtle"
                    onClick={() => {
                      close();
                      goTo(defect.line, defect.column);
                    }}
                  >
                    {t('Line {line}', { line: String(defect.line) })}
                  </Button>
                )}{' '}
                {defect.message} {defect.hint}
              </List.Item>
            ))}
          </List>
        </Alert>
      </Stack>
    );
  return (
    <Stack>
      {saving.project.publishedVersion === null ? (
        <>
          <Text size="sm">{t('The first version. It becomes a connector of this workspace, from which sources are made.')}</Text>
          <TextInput
            label={t('Name')}
            description={t('The name of the connector in the lists of this workspace.')}
            value={name}
            error={name.trim() === '' ? t('This field is required.') : undefined}
            onChange={(event) => setName(event.currentTarget.value)}
            maxLength={200}
            autoComplete="off"
          />
        </>
      ) : changes.length === 0 ? (
        <Text size="sm">{t('Nothing has changed since version {version}.', { version: saving.project.publishedVersion })}</Text>
      ) : (
        <VersionChanges changes={changes} />
      )}
      {breaking && (
        <Alert color="yellow" variant="light" icon={<IconAlertTriangle aria-hidden />} title={t('A breaking change')}>
          <Text size="sm" c="var(--mantine-color-text)">
            {t('Connections of the sources that get this version are paused, with what to look at. Sources that stay on their version continue as before.')}
          </Text>
        </Alert>
      )}
      {sources.length > 0 && (
        <Stack gap={6}>
          <Text size="sm" fw={600}>
            {t('Sources that get the new version')}
          </Text>
          {sources.map((source) => (
            <Checkbox
              key={source.sourceId}
              checked={!isKept(source)}
              onChange={(event) => setKept(new Map(kept).set(source.sourceId, !event.currentTarget.checked))}
              label={`${source.name} · ${t('version {version}', { version: source.version })} · ${plural(source.connections, '{count} connection', '{count} connections')}`}
              description={source.problem || (source.breaking ? t('Its connections are paused.') : undefined)}
            />
          ))}
        </Stack>
      )}
      <Textarea label={t('Note')} description={t('What is new, for those who use the connector. May stay empty.')} value={note} onChange={(event) => setNote(event.currentTarget.value)} autosize minRows={2} maxRows={6} maxLength={10_000} />
      {publishing.error && <ErrorNote error={publishing.error} />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={close}>
          {t('Cancel')}
        </Button>
        <Button color={breaking ? 'red.8' : undefined} loading={publishing.isPending} disabled={name.trim() === ''} onClick={() => publishing.mutate()}>
          {t('Publish version {version}', { version: plan.data.version })}
        </Button>
      </Group>
    </Stack>
  );
}
