/** A source or destination: its form, its connections, check and delete. */
import { Anchor, Breadcrumbs, Button, Card, Group, List, Stack, Text, Title } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';

import { SourceVersion } from './SourceVersion';
import { ConnectorIcon } from '../catalog/ConnectorIcon';
import { ConfigurationButton } from '../configuration/ConfigurationButton';
import { FormSkeleton } from '../form/FormSkeleton';
import { useWorkspace } from '../session/session';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { PageHeader } from '../shell/PageHeader';
import { notifySuccess } from '../shell/notify';
import { plural, t } from '../text';
import { EndpointForm } from './EndpointForm';
import { CredentialExpiry } from './CredentialExpiry';
import { change, type EndpointKind, endpointQuery, overviewQuery, remove, specQuery, usesQuery } from './endpoints';
import { FormGuide, useWide } from './FormGuide';
import guide from './guide.module.css';
import { LastTest } from './LastTest';
import { ReaderPermission } from './ReaderPermission';

export const SourcePage = () => <EndpointPage kind="source" />;
export const DestinationPage = () => <EndpointPage kind="destination" />;

function EndpointPage({ kind }: { kind: EndpointKind }) {
  const { id } = useParams({ strict: false }) as { id: string };
  const navigate = useNavigate();
  const { may } = useWorkspace();
  const endpoint = useQuery(endpointQuery(kind, id));
  const overview = useQuery(overviewQuery(kind, id));
  // The form of a low-code source is of the version that it runs.
  const version = overview.data?.connectorVersion ?? undefined;
  const spec = useQuery({
    ...specQuery(kind, endpoint.data?.definitionId ?? '', version),
    enabled: endpoint.data !== undefined && !overview.isPending,
  });
  const uses = useQuery(usesQuery(kind, id));
  const connections = uses.data?.data ?? [];
  const total = uses.data?.total ?? 0;
  const [path, setPath] = useState('');
  const wide = useWide();
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);

  const breadcrumbs = (
    <Breadcrumbs>
      <Anchor component={Link} to={`/${kind}s`} size="sm">
        {kind === 'source' ? t('Sources') : t('Destinations')}
      </Anchor>
    </Breadcrumbs>
  );
  if (endpoint.error) return <ErrorNote error={endpoint.error} retry={() => void endpoint.refetch()} />;
  if (!endpoint.data) return <FormSkeleton />;
  const { name, configuration, workspaceId, type } = endpoint.data;

  function askToDelete() {
    setConfirmation({
      title: t('Delete {name}?', { name }),
      danger: true,
      action: kind === 'source' ? t('Delete the source') : t('Delete the destination'),
      type: total ? name : undefined,
      body: total ? (
        <>
          {plural(total, 'This connection uses it and is deleted with it:', 'These {count} connections use it and are deleted with it:')}
          <List size="sm" mt="xs">
            {connections.slice(0, 10).map((connection) => (
              <List.Item key={connection.connectionId}>{connection.name}</List.Item>
            ))}
          </List>
          {total > 10 && <Text size="sm">{t('and {count} more.', { count: total - 10 })}</Text>}
          <Text size="sm" mt="xs">
            {t('The synced data stays in the destination.')}
          </Text>
        </>
      ) : (
        <>
          {t('No connection uses it.')} {kind === 'destination' && t('The data that was written to it stays where it is.')}
        </>
      ),
      run: async () => {
        await remove(kind, id);
        notifySuccess(t('{name} was deleted', { name }));
        await navigate({ to: `/${kind}s` });
      },
    });
  }

  return (
    <>
      <PageHeader
        title={name}
        note={
          <Group gap="xs">
            <ConnectorIcon type={type} name={spec.data?.name} svg={spec.data?.icon} size={20} />
            {spec.data?.name ?? type}
          </Group>
        }
        above={breadcrumbs}
      >
        <ConfigurationButton workspaceId={workspaceId} part={{ kind, name }} />
        {may('editor') && (
          <Button
            component={Link}
            to="/connections/new"
            search={{ [kind]: id } as never}
            variant="default"
            leftSection={<IconPlus size={16} aria-hidden />}
          >
            {t('New connection')}
          </Button>
        )}
      </PageHeader>
      <div className={guide.beside}>
        <Stack>
          {kind === 'source' && <CredentialExpiry sourceId={id} />}
          {overview.data && (
            <Group gap="xs">
              <Text size="sm" fw={600}>
                {t('Last test')}
              </Text>
              <LastTest check={overview.data.lastCheck} sentence />
            </Group>
          )}
          {kind === 'source' && spec.data && !spec.data.native && /^\d+$/.test(spec.data.version) && <SourceVersion sourceId={id} mayEdit={may('editor')} />}
          {spec.error && <ErrorNote error={spec.error} retry={() => void spec.refetch()} />}
          {spec.isPending && <FormSkeleton />}
          {spec.data && !wide && <FormGuide connector={spec.data} path={path} />}
          {spec.data && (
            <EndpointForm
              key={`${id} ${version ?? ''}`}
              kind={kind}
              connector={spec.data}
              workspaceId={workspaceId}
              saved={{ id, name, configuration }}
              mayEdit={may('editor')}
              onFocusField={setPath}
              save={async (values, kept) => {
                await change(kind, endpoint.data, values.name, values.configuration, kept);
                notifySuccess(t('The changes were saved'));
              }}
            >
              <Button
                variant="default"
                c="var(--mantine-color-error)"
                leftSection={<IconTrash size={16} aria-hidden />}
                onClick={askToDelete}
                disabled={!uses.data}
              >
                {t('Delete …')}
              </Button>
            </EndpointForm>
          )}
          {kind === 'destination' && spec.data && <ReaderPermission key={id} destinationId={id} mayEdit={may('admin')} />}
          <Card withBorder padding="lg">
            <Title order={2} size="h5" mb="xs">
              {t('Connections')}
            </Title>
            {uses.error && <ErrorNote error={uses.error} />}
            {uses.data && total === 0 && (
              <Text size="sm" c="dimmed">
                {t('No connection uses it yet.')}
              </Text>
            )}
            <Stack gap={4}>
              {connections.slice(0, 50).map((connection) => (
                <Anchor key={connection.connectionId} component={Link} to={`/connections/${connection.connectionId}`} size="sm">
                  {connection.name}
                </Anchor>
              ))}
            </Stack>
            {total > 50 && <Text size="sm">{t('and {count} more.', { count: total - 50 })}</Text>}
          </Card>
        </Stack>
        {spec.data && wide && <FormGuide connector={spec.data} path={path} />}
      </div>
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </>
  );
}
