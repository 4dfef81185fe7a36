/** OAuth consent at the vendor, for sources that support it: opens in a popup, which reports the result. */
import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, OWN } from '../api/client';
import type { ConnectorDetail, ConsentRead, ConsentVendors } from '../api/schema.gen';
import { label, resolveSchema, schemaAt, type Values } from '../form/schema';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { BreakableAddress } from '../shell/BreakableAddress';
import { t } from '../text';
import { OAuthClient } from './OAuthClient';
import { useConsentPopup } from './useConsentPopup';

/** The vendors whose sources can sign in by consent. */
function useVendors(workspaceId: string) {
  return useQuery({
    queryKey: ['consents', workspaceId],
    queryFn: () => api.get<ConsentVendors>(`${OWN}/consents`, { workspaceId }),
    staleTime: 300_000,
  });
}

/** The offer to register an OAuth client, while there is none. It stands behind the fields: one admin needs it once. */
export function ConsentOffer({ connector, workspaceId }: { connector: ConnectorDetail; workspaceId: string }) {
  const { may } = useWorkspace();
  const vendors = useVendors(workspaceId);
  const vendor = vendors.data?.data.find((candidate) => candidate.connector === connector.connector);
  if (!vendor || !vendors.data || vendor.client || !may('admin')) return null;
  return <OAuthClient connector={connector} workspaceId={workspaceId} redirectUri={vendors.data.redirectUri} registered={false} onChanged={() => void vendors.refetch()} />;
}

/** The words of an option of the form; without a field of its own, its name. */
function optionLabel({ spec }: ConnectorDetail, path: readonly string[]): string {
  const name = path.at(-1)!;
  const field = schemaAt(resolveSchema(spec), path.join('.'));
  return field ? label(name, field) : name;
}

/** Offered where the connector's vendor has a consent with a registered client, or its manifest describes one with the client's own inputs. */
export function Consent({
  connector,
  workspaceId,
  sourceId,
  configuration,
  onDone,
  done,
}: {
  connector: ConnectorDetail;
  workspaceId: string;
  sourceId?: string;
  configuration: () => Values;
  onDone: (secretId: string | undefined) => void;
  done: boolean;
}) {
  const { may } = useWorkspace();
  const vendors = useVendors(workspaceId);
  const vendor = vendors.data?.data.find((candidate) => candidate.connector === connector.connector);
  const [renewed, setRenewed] = useState(false);
  const begin = useConsentPopup(
    (redirectUrl) =>
      api.post<ConsentRead>(`${OWN}/consents`, {
        ...(sourceId ? { sourceId } : { workspaceId, ...(vendor ? { connector: connector.connector } : { definitionId: connector.definitionId }) }),
        configuration: sourceId ? {} : configuration(),
        redirectUrl,
      }),
    ({ secretId }) => (sourceId ? setRenewed(true) : onDone(secretId)),
  );
  const inputs = vendor ? null : connector.consentInputs;
  if ((!vendor && !inputs) || !vendors.data) return null;
  const client = vendor && may('admin') && vendor.client !== 'organization' && (
    <OAuthClient
      connector={connector}
      workspaceId={workspaceId}
      redirectUri={vendors.data.redirectUri}
      registered={vendor.client === 'workspace'}
      onChanged={() => void vendors.refetch()}
    />
  );
  if (vendor && !vendor.client) return null;
  const granted = done || renewed;
  const needs = (vendor?.needs ?? inputs!.map((path) => optionLabel(connector, path))).join(', ');
  return (
    <Alert variant="light" color="kite" icon={<IconKey aria-hidden />} title={t('Grant access at {vendor}', { vendor: connector.name })}>
      <Stack gap="xs" align="flex-start">
        <Text size="sm">
          {done
            ? t('Access granted. Save the source to keep it; the credentials below are not required.')
            : renewed
              ? t('Access granted. The new tokens are saved.')
              : needs
                ? t('Sign in at {vendor} instead of entering a token; enter {fields} below first.', { vendor: connector.name, fields: needs })
                : t('Sign in at {vendor} instead of entering a token.', { vendor: connector.name })}
        </Text>
        {inputs && !granted && (
          <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
            {t('Redirect address to register at the vendor:')} <BreakableAddress address={vendors.data.redirectUri} />
          </Text>
        )}
        {begin.error && <ErrorNote error={begin.error} />}
        <Group gap="sm">
          <Button size="xs" variant={granted ? 'default' : 'filled'} loading={begin.isPending} onClick={() => begin.mutate()}>
            {granted ? t('Grant access again') : t('Grant access')}
          </Button>
          {client}
        </Group>
      </Stack>
    </Alert>
  );
}
