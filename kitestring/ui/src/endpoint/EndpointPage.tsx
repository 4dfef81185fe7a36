/** One source or destination: its form, what uses it, checking and deleting it. */
import { Anchor, Box, Breadcrumbs, Button, Card, List, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';

import { useWorkspace } from '../session/session';
import { type Asked, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { PageHeader } from '../shell/PageHeader';
import { notifySuccess } from '../shell/notify';
import { EndpointForm } from './EndpointForm';
import { CredentialExpiry } from './CredentialExpiry';
import { type EndpointKind, endpointQuery, change, remove, specQuery, usedQuery } from './endpoints';

export const SourcePage = () => <EndpointPage kind="source" />;
export const DestinationPage = () => <EndpointPage kind="destination" />;

function EndpointPage({ kind }: { kind: EndpointKind }) {
  const { id } = useParams({ strict: false }) as { id: string };
  const navigate = useNavigate();
  const { may } = useWorkspace();
  const one = useQuery(endpointQuery(kind, id));
  const spec = useQuery({ ...specQuery(kind, one.data?.definitionId ?? ''), enabled: one.data !== undefined });
  const used = useQuery(usedQuery(one.data?.workspaceId));
  const by = used.data?.filter((other) => other[`${kind}Id`] === id) ?? [];
  const [asked, setAsked] = useState<Asked | null>(null);

  const above = (
    <Breadcrumbs>
      <Anchor component={Link} to={`/${kind}s`} size="sm">
        {kind === 'source' ? 'Sources' : 'Destinations'}
      </Anchor>
    </Breadcrumbs>
  );
  if (one.error) return <ErrorNote error={one.error} retry={() => void one.refetch()} />;
  if (!one.data) return <Skeleton height={320} />;
  const { name, configuration, workspaceId } = one.data;

  function askToDelete() {
    setAsked({
      title: `Delete ${name}?`,
      danger: true,
      action: `Delete the ${kind}`,
      type: by.length ? name : undefined,
      what: by.length ? (
        <>
          {by.length === 1 ? 'This connection uses it and is' : `These ${by.length} connections use it and are`} deleted with it:
          <List size="sm" mt="xs">
            {by.slice(0, 10).map((other) => (
              <List.Item key={other.connectionId}>{other.name}</List.Item>
            ))}
          </List>
          {by.length > 10 && <Text size="sm">and {by.length - 10} more.</Text>}
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
      <PageHeader title={name} note={spec.data?.name ?? one.data.type} above={above}>
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
              key={`${id} ${one.dataUpdatedAt > 0 ? JSON.stringify(configuration) : ''}`}
              kind={kind}
              connector={spec.data}
              workspaceId={workspaceId}
              kept={{ id, name, configuration }}
              mayEdit={may('editor')}
              action="Save"
              save={async (entered) => {
                await change(kind, id, entered.name, entered.configuration);
                notifySuccess('The changes were saved');
              }}
            >
              <Button
                variant="default"
                c="var(--mantine-color-error)"
                leftSection={<IconTrash size={16} aria-hidden />}
                onClick={askToDelete}
                disabled={!used.data}
              >
                Delete
              </Button>
            </EndpointForm>
          )}
          <Card withBorder padding="lg">
            <Title order={2} size="h5" mb="xs">
              Connections
            </Title>
            {used.error && <ErrorNote error={used.error} />}
            {used.data && by.length === 0 && (
              <Text size="sm" c="dimmed">
                No connection uses it yet.
              </Text>
            )}
            <Stack gap={4}>
              {by.slice(0, 50).map((other) => (
                <Anchor key={other.connectionId} component={Link} to={`/connections/${other.connectionId}`} size="sm">
                  {other.name}
                </Anchor>
              ))}
            </Stack>
            {by.length > 50 && <Text size="sm">and {by.length - 50} more.</Text>}
          </Card>
        </Stack>
      </Box>
      <Confirm asked={asked} onClose={() => setAsked(null)} />
    </>
  );
}
