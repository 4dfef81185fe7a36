/** Create a source or destination in two steps; used by its own page and by the connection wizard. */
import { Button, Card, Group, Stack, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { ConnectorIcon } from '../catalog/ConnectorIcon';
import { FormSkeleton } from '../form/FormSkeleton';
import { sessionQuery } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { EndpointForm } from './EndpointForm';
import { type Endpoint, type EndpointKind, connectorsQuery, create, install, specQuery } from './endpoints';
import { t } from '../text';
import { ConnectorChoice } from './ConnectorChoice';
import { FormGuide, useWide } from './FormGuide';
import guide from './guide.module.css';

export function NewEndpoint({
  kind,
  workspaceId,
  chosen,
  onChosen,
  onCreated,
  asksToLeave = false,
}: {
  kind: EndpointKind;
  workspaceId: string;
  /** A connector's id or type. */
  chosen: string | undefined;
  onChosen: (connectorKey: string | undefined) => void;
  onCreated: (endpoint: Endpoint) => void;
  /** Ask before a form with unsaved work is left; the wizard asks by itself. */
  asksToLeave?: boolean;
}) {
  if (!chosen)
    return (
      <ConnectorChoice
        kind={kind}
        workspaceId={workspaceId}
        onChoose={(candidate) => onChosen(candidate.native ? candidate.type : candidate.definitionId)}
      />
    );
  return <ChosenConnector kind={kind} workspaceId={workspaceId} connectorKey={chosen} onOther={() => onChosen(undefined)} onCreated={onCreated} asksToLeave={asksToLeave} />;
}

function ChosenConnector({
  kind,
  workspaceId,
  connectorKey,
  onOther,
  onCreated,
  asksToLeave,
}: {
  kind: EndpointKind;
  workspaceId: string;
  connectorKey: string;
  onOther: () => void;
  onCreated: (endpoint: Endpoint) => void;
  asksToLeave: boolean;
}) {
  const connectors = useQuery(connectorsQuery(kind, workspaceId));
  const listing = connectors.data?.find((candidate) => candidate.definitionId === connectorKey || (candidate.native && candidate.type === connectorKey));
  const spec = useQuery({ ...specQuery(kind, connectorKey), enabled: listing === undefined ? !connectors.isPending : listing.installed });
  const connector = spec.data ?? listing;
  const [path, setPath] = useState('');
  const wide = useWide();
  return (
    <div className={guide.beside}>
      <Stack>
        <Group justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap" miw={0}>
            <ConnectorIcon type={connector?.type ?? connectorKey} name={connector?.name} svg={connector?.icon} size={36} />
            <div>
              <Text fw={650} style={{ overflowWrap: 'anywhere' }}>
                {connector?.name ?? connectorKey}
              </Text>
              {connector && (
                <Text size="sm" c="dimmed">
                  {connector.native ? sentence(connector.summary) || t('Part of Kitestring') : connector.custom ? t('A connector of this workspace, version {version}', { version: connector.version }) : ['Airbyte', connector.version].join(' · ')}
                </Text>
              )}
            </div>
          </Group>
          <Button size="xs" variant="default" onClick={onOther} style={{ flexShrink: 0 }}>
            {t('Choose another')}
          </Button>
        </Group>
        {spec.data && !wide && <FormGuide connector={spec.data} path={path} />}
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
            onFocusField={setPath}
            asksToLeave={asksToLeave}
            save={async ({ name, configuration, secretId }, kept) => {
              const body = { name, workspaceId, definitionId: spec.data.definitionId, configuration, ...(secretId && { secretId }) };
              const endpoint = await create(kind, body);
              kept();
              onCreated(endpoint);
            }}
          />
        ) : (
          <FormSkeleton />
        )}
      </Stack>
      {spec.data && wide && <FormGuide connector={spec.data} path={path} />}
    </div>
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
          {t(
            "{name} is one of Airbyte's public connectors and is not installed on this server. Kitestring downloads it from the registry, verifies its checksum and runs it outside its own processes.",
            { name },
          )}
        </Text>
        {installing.error && <ErrorNote error={installing.error} />}
        {isInstanceAdmin ? (
          <Button
            leftSection={<IconDownload size={16} aria-hidden />}
            loading={installing.isPending}
            onClick={() => installing.mutate()}
          >
            {t('Install {name}', { name })}
          </Button>
        ) : (
          <Text c="dimmed">{t('Ask a server admin to install it.')}</Text>
        )}
      </Stack>
    </Card>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
