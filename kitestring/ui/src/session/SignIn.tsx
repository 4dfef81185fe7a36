/** The sign-in page. */
import { Center, Image, Paper, Stack, Title } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';

import { t } from '../text';
import { ownPath } from './ownPath';
import { startSession } from './session';
import { SignInForm } from './SignInForm';

export function SignIn() {
  const navigate = useNavigate();
  const back = ownPath((useSearch({ strict: false }) as { back?: string }).back);
  useEffect(() => {
    document.title = `${t('Sign in')} · Kitestring`;
  }, []);
  return (
    <Center component="main" mih="100dvh" p="md">
      <Paper withBorder shadow="md" p="xl" w={410} maw="100%">
        <Stack>
          <Stack gap="xs" align="center">
            <Image src="/kite.svg" w={52} h={52} alt="" />
            <Title order={1} size="h3">
              {t('Sign in to Kitestring')}
            </Title>
          </Stack>
          <SignInForm
            back={back}
            onSession={async (session) => {
              startSession(session);
              await navigate({ href: back, replace: true });
            }}
          />
        </Stack>
      </Paper>
    </Center>
  );
}
