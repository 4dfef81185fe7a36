/** A source or destination: its form, its connections, check and delete. */
import { Anchor, Box, Breadcrumbs, Button, Card, List, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';

import { useWorkspace } from '../session/session';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { PageHeader } from '../shell/PageHeader';
import { notifySuccess } from '../shell/notify';
import { EndpointForm } from './EndpointForm';
import { CredentialExpiry } from './CredentialExpiry';
import { type EndpointKind, endpointQuery, change, remove, specQuery, workspaceConnectionsQuery } from './endpoints';

export const SourcePage = () => <EndpointPage kind="source" />;
export const DestinationPage = () => <EndpointPage kind="destination" />;

function EndpointPage({ kind }: { kind: EndpointKind }) {
  const { id } = useParams({ strict: false }) as { id: string };
  const navigate = useNavigate();
  const { may } = useWorkspace();
  const endpoint = useQuery(endpointQuery(kind, id));
  const spec = useQuery({ ...specQuery(kind, endpoint.data?.definitionId ?? ''), enabled: endpoint.data !== undefined });
  const workspaceConnections = useQuery(workspaceConnectionsQuery(endpoint.data?.workspaceId));
  const connections = workspaceConnections.data?.filter((connection) => connection[`${kind}Id`] === id) ?? [];
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);

  const breadcrumbs = (
    <Breadcrumbs>
      <Anchor component={Link} to={`/${kind}s`} size="sm">
        {kind === 'source' ? 'Sources' : 'Destinations'}
      </Anchor>
    </Breadcrumbs>
  );
  if (endpoint.error) return <ErrorNote error={endpoint.error} retry={() => void endpoint.refetch()} />;
  if (!endpoint.data) return <Skeleton height={320} />;
  const { name, configuration, workspaceId } = endpoint.data;

  function askToDelete() {
    setConfirmation({
      title: `Delete ${name}?`,
      danger: true,
      action: `Delete the ${kind}`,
      type: connections.length ? name : undefined,
      body: connections.length ? (
        <>
          {connections.length === 1 ? 'This connection uses it and is' : `These ${connections.length} connections use it and are`} deleted with it:
          <List size="sm" mt="xs">
            {connections.slice(0, 10).map((connection) => (
              <List.Item key={connection.connectionId}>{connection.name}</List.Item>
            ))}
          </List>
          {connections.length > 10 && <Text size="sm">and {connections.length - 10} more.</Text>}
        </>
      ) : (
        'No connection uses it.'
      ),
      run: async () => {
        await remove(kind, id);
        notifySuccess(`${name} was deleted`);
        await navigate({ to: `/${kind}s` });
      },
    });
  }

  return (
    <>
      <PageHeader title={name} note={spec.data?.name ?? endpoint.data.type} above={breadcrumbs}>
        {may('editor') && (
          <Button
            component={Link}
            to="/connections/new"
            search={{ [kind]: id } as never}
            variant="default"
            leftSection={<IconPlus size={16} aria-hidden />}
          >
            New connection
          </Button>
        )}
      </PageHeader>
      <Box maw={760}>
        <Stack>
          {kind === 'source' && <CredentialExpiry sourceId={id} />}
          {spec.error && <ErrorNote error={spec.error} retry={() => void spec.refetch()} />}
          {spec.isPending && <Skeleton height={320} />}
          {spec.data && (
            <EndpointForm
              key={`${id} ${endpoint.dataUpdatedAt > 0 ? JSON.stringify(configuration) : ''}`}
              kind={kind}
              connector={spec.data}
              workspaceId={workspaceId}
              saved={{ id, name, configuration }}
              mayEdit={may('editor')}
              action="Save"
              save={async (values) => {
                await change(kind, id, values.name, values.configuration);
                notifySuccess('The changes were saved');
              }}
            >
              <Button
                variant="default"
                c="var(--mantine-color-error)"
                leftSection={<IconTrash size={16} aria-hidden />}
                onClick={askToDelete}
                disabled={!workspaceConnections.data}
              >
                Delete
              </Button>
            </EndpointForm>
          )}
          <Card withBorder padding="lg">
            <Title order={2} size="h5" mb="xs">
              Connections
            </Title>
            {workspaceConnections.error && <ErrorNote error={workspaceConnections.error} />}
            {workspaceConnections.data && connections.length === 0 && (
              <Text size="sm" c="dimmed">
                No connection uses it yet.
              </Text>
            )}
            <Stack gap={4}>
              {connections.slice(0, 50).map((connection) => (
                <Anchor key={connection.connectionId} component={Link} to={`/connections/${connection.connectionId}`} size="sm">
                  {connection.name}
                </Anchor>
              ))}
            </Stack>
            {connections.length > 50 && <Text size="sm">and {connections.length - 50} more.</Text>}
          </Card>
        </Stack>
      </Box>
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </>
  );
}
