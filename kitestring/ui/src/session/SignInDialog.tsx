/** Sign-in over the page that is open, when its session has ended: what was typed in it stays. */
import { Modal, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';

import { api, OWN } from '../api/client';
import type { SessionRead } from '../api/schema.gen';
import { t } from '../text';
import { resumeSession, sessionQuery } from './session';
import { SignInForm } from './SignInForm';

export function SignInDialog() {
  const session = useQuery(sessionQuery).data;
  // On a server without users there was nobody to sign in as: somebody has just added the first one.
  const isFirst = session?.userId === null;
  useEffect(() => {
    // Signed in in another tab meanwhile: the cookie is this one's too.
    const look = () =>
      void api.get<SessionRead>(`${OWN}/session`).then(resumeSession, () => {
        // Not yet.
      });
    window.addEventListener('focus', look);
    return () => window.removeEventListener('focus', look);
  }, []);
  return (
    <Modal
      opened
      centered
      onClose={() => undefined}
      closeOnEscape={false}
      closeOnClickOutside={false}
      withCloseButton={false}
      title={isFirst ? t('Sign-in is on now') : t('Your session has ended')}
      zIndex={400}
    >
      <Stack>
        <Text size="sm">
          {isFirst
            ? t('The server has its first user. Sign in as this user to continue.')
            : t('Sign in again to continue on this page. Your input is not lost.')}
        </Text>
        <SignInForm back="/sign-in" anotherTab onSession={resumeSession} />
      </Stack>
    </Modal>
  );
}
