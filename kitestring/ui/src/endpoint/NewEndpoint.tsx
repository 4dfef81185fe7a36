/** Create a source or destination in two steps; used by its own page and by the connection wizard. */
import { Anchor, Box, Button, Card, Group, Skeleton, Stack, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';

import { sessionQuery } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { EndpointForm } from './EndpointForm';
import { type Endpoint, type EndpointKind, connectorsQuery, create, install, specQuery } from './endpoints';
import { ConnectorChoice } from './ConnectorChoice';

export function NewEndpoint({
  kind,
  workspaceId,
  chosen,
  onChosen,
  onCreated,
}: {
  kind: EndpointKind;
  workspaceId: string;
  /** A connector's id or type. */
  chosen: string | undefined;
  onChosen: (connectorKey: string | undefined) => void;
  onCreated: (endpoint: Endpoint) => void;
}) {
  if (!chosen)
    return (
      <ConnectorChoice
        kind={kind}
        workspaceId={workspaceId}
        onChoose={(candidate) => onChosen(candidate.native ? candidate.type : candidate.definitionId)}
      />
    );
  return <ChosenConnector kind={kind} workspaceId={workspaceId} connectorKey={chosen} onOther={() => onChosen(undefined)} onCreated={onCreated} />;
}

function ChosenConnector({
  kind,
  workspaceId,
  connectorKey,
  onOther,
  onCreated,
}: {
  kind: EndpointKind;
  workspaceId: string;
  connectorKey: string;
  onOther: () => void;
  onCreated: (endpoint: Endpoint) => void;
}) {
  const connectors = useQuery(connectorsQuery(kind, workspaceId));
  const listing = connectors.data?.find((candidate) => candidate.definitionId === connectorKey || (candidate.native && candidate.type === connectorKey));
  const spec = useQuery({ ...specQuery(kind, connectorKey), enabled: listing === undefined ? !connectors.isPending : listing.installed });
  const connector = spec.data ?? listing;
  return (
    <Box maw={760}>
      <Stack>
        <Group justify="space-between">
          <Text>
            <b>{connector?.name ?? connectorKey}</b>
            {connector && (
              <Text span size="sm" c="dimmed">
                {' '}
                {connector.native ? 'comes with Kitestring' : connector.version}
                {connector.documentationUrl && (
                  <>
                    {' · '}
                    <Anchor href={connector.documentationUrl} target="_blank" rel="noreferrer" size="sm">
                      documentation
                    </Anchor>
                  </>
                )}
              </Text>
            )}
          </Text>
          <Button size="xs" variant="default" onClick={onOther}>
            Choose another
          </Button>
        </Group>
        {listing && !listing.installed && !spec.data ? (
          <Install kind={kind} definitionId={listing.definitionId} name={listing.name} onDone={() => void spec.refetch()} />
        ) : spec.error ? (
          <ErrorNote error={spec.error} retry={() => void spec.refetch()} />
        ) : spec.data ? (
          <EndpointForm
            key={spec.data.definitionId}
            kind={kind}
            connector={spec.data}
            workspaceId={workspaceId}
            action={`Create the ${kind}`}
            save={async ({ name, configuration, secretId }) =>
              onCreated(
                await create(kind, {
                  name,
                  workspaceId,
                  definitionId: spec.data.definitionId,
                  configuration,
                  ...(secretId && { secretId }),
                }),
              )
            }
          />
        ) : (
          <Skeleton height={320} />
        )}
      </Stack>
    </Box>
  );
}

/** Install a connector of Airbyte's registry on the server; its form is available afterwards. */
function Install({
  kind,
  definitionId,
  name,
  onDone,
}: {
  kind: EndpointKind;
  definitionId: string;
  name: string;
  onDone: () => void;
}) {
  const isInstanceAdmin = useQuery(sessionQuery).data?.instanceAdmin ?? false;
  const installing = useMutation({ mutationFn: () => install(kind, definitionId), onSuccess: onDone });
  return (
    <Card withBorder padding="lg">
      <Stack align="flex-start">
        <Text>
          {name} is one of Airbyte's public connectors and is not installed on this server. Kitestring downloads it from the
          registry, verifies its checksum and runs it outside its own processes.
        </Text>
        {installing.error && <ErrorNote error={installing.error} />}
        {isInstanceAdmin ? (
          <Button
            leftSection={<IconDownload size={16} aria-hidden />}
            loading={installing.isPending}
            onClick={() => installing.mutate()}
          >
            Install {name}
          </Button>
        ) : (
          <Text c="dimmed">Ask a server admin to install it.</Text>
        )}
      </Stack>
    </Card>
  );
}
