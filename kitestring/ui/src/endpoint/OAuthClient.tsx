/** The OAuth client of a workspace at a vendor: an admin registers it once, and everybody signs in instead of entering tokens. */
import { ActionIcon, Anchor, Button, Code, CopyButton, Group, Modal, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';

import { api, PUBLIC } from '../api/client';
import type { ConnectorDetail } from '../api/schema.gen';
import { BreakableAddress } from '../shell/BreakableAddress';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess } from '../shell/notify';
import { t } from '../text';

interface Props {
  connector: ConnectorDetail;
  workspaceId: string;
  /** The address that the vendor must know. */
  redirectUri: string;
  registered: boolean;
  onChanged: () => void;
}

export function OAuthClient({ connector, workspaceId, redirectUri, registered, onChanged }: Props) {
  const [opened, { open, close }] = useDisclosure(false);
  return (
    <>
      <Text size="sm" component="div">
        {!registered && t('For admins: with an OAuth client, people sign in at {vendor} instead of entering credentials.', { vendor: connector.name })}{' '}
        <Anchor component="button" type="button" size="sm" onClick={open}>
          {registered ? t('Change the OAuth client') : t('Register an OAuth client')}
        </Anchor>
      </Text>
      <Modal opened={opened} onClose={close} title={t('OAuth client for {vendor}', { vendor: connector.name })} closeButtonProps={{ 'aria-label': t('Close') }}>
        {opened && (
          <ClientForm
            {...{ connector, workspaceId, redirectUri, registered }}
            onChanged={(text) => {
              notifySuccess(text);
              onChanged();
              close();
            }}
          />
        )}
      </Modal>
    </>
  );
}

function ClientForm({ connector, workspaceId, redirectUri, registered, onChanged }: Omit<Props, 'onChanged'> & { onChanged: (text: string) => void }) {
  const [clientId, setClientId] = useState('');
  const [clientSecret, setClientSecret] = useState('');
  const place = `${PUBLIC}/workspaces/${workspaceId}/oauthCredentials`;
  const saving = useMutation({
    mutationFn: async () => {
      await api.put(place, {
        actorType: 'source',
        name: connector.connector,
        configuration: { client_id: clientId.trim(), client_secret: clientSecret },
      });
      onChanged(t('The OAuth client was saved'));
    },
  });
  const removing = useMutation({
    mutationFn: async () => {
      await api.delete(`${place}/source/${connector.connector}`);
      onChanged(t('The OAuth client was removed'));
    },
  });
  const complete = clientId.trim() !== '' && clientSecret !== '';
  return (
    <form
      onSubmit={(event) => {
        // The dialog is outside of the form of the source on the page, and inside of it for React.
        event.preventDefault();
        event.stopPropagation();
        if (complete) saving.mutate();
      }}
    >
      <Stack>
        <Text size="sm">{t('Register an application at {vendor} with this redirect address. Then enter the values that {vendor} shows.', { vendor: connector.name })}</Text>
        <Group gap="xs" wrap="nowrap">
          <Code style={{ overflowWrap: 'anywhere' }}>
            <BreakableAddress address={redirectUri} />
          </Code>
          <CopyButton value={redirectUri}>
            {({ copied, copy }) => (
              <ActionIcon variant="subtle" onClick={copy} aria-label={copied ? t('Copied') : t('Copy the redirect address')}>
                {copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />}
              </ActionIcon>
            )}
          </CopyButton>
        </Group>
        <TextInput label={t('Client ID')} required autoComplete="off" value={clientId} onChange={(event) => setClientId(event.currentTarget.value)} data-autofocus />
        <PasswordInput
          label={t('Client secret')}
          description={t('Encrypted on the server and never shown again.')}
          required
          autoComplete="new-password"
          value={clientSecret}
          visibilityToggleButtonProps={{ 'aria-label': t('Show the client secret'), tabIndex: 0 }}
          onChange={(event) => setClientSecret(event.currentTarget.value)}
        />
        {(saving.error || removing.error) && <ErrorNote error={saving.error ?? removing.error} />}
        <Group justify="space-between">
          {registered ? (
            <Button variant="default" c="var(--mantine-color-error)" loading={removing.isPending} onClick={() => removing.mutate()}>
              {t('Remove it')}
            </Button>
          ) : (
            <span />
          )}
          <Button type="submit" loading={saving.isPending} disabled={!complete}>
            {registered ? t('Replace it') : t('Register it')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
