/** Signs in at the vendor with the consent that a draft describes: the server seals the tokens as inputs of the test. */
import { Alert, Button, Stack, Text } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, OWN } from '../../api/client';
import type { ConsentRead, ConsentVendors } from '../../api/schema.gen';
import { useConsentPopup } from '../../endpoint/useConsentPopup';
import { ErrorNote } from '../../shell/ErrorNote';
import { BreakableAddress } from '../../shell/BreakableAddress';
import { t } from '../../text';
import { type Project, PROJECTS } from '../projects';
import type { Change, Saving } from '../useSaving';

/** `change`: inputs that the server does not have yet. `begun`: the page keeps this note in view. */
export function DraftConsent({ saving, change, begun }: { saving: Saving; change: () => Change | undefined; begun: () => void }) {
  const { projectId } = saving.project;
  const [granted, setGranted] = useState(false);
  const vendors = useQuery({ queryKey: ['consents'], queryFn: () => api.get<ConsentVendors>(`${OWN}/consents`), staleTime: 300_000 });
  const begin = useConsentPopup(
    async (redirectUrl) => {
      begun();
      setGranted(false);
      await saving.save(change());
      return api.post<ConsentRead>(`${OWN}/consents/builder-project`, { projectId, redirectUrl });
    },
    async (result) => {
      if (result.projectId !== projectId) return;
      saving.adoptInputs(await api.get<Project>(`${PROJECTS}/${projectId}`));
      setGranted(true);
    },
  );
  return (
    <Alert variant="light" color="kite" icon={<IconKey aria-hidden />} title={t('Consent in the browser')} role="group" aria-label={t('Consent in the browser')}>
      <Stack gap="xs" align="flex-start">
        <Text size="sm" c="var(--mantine-color-text)" role="status">
          {granted ? t('Access granted. The tokens are sealed inputs of the test.') : t('Fill in the id and the secret of your application, then sign in at the vendor: the tokens become sealed inputs of the test.')}
        </Text>
        {vendors.data && (
          <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
            {t('Redirect address to register at the vendor:')} <BreakableAddress address={vendors.data.redirectUri} />
          </Text>
        )}
        {begin.error && <ErrorNote error={begin.error} />}
        <Button size="xs" variant={granted ? 'default' : 'filled'} loading={begin.isPending} onClick={() => begin.mutate()}>
          {granted ? t('Sign in again') : t('Sign in at the vendor')}
        </Button>
      </Stack>
    </Alert>
  );
}
