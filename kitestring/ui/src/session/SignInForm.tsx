/** The ways to sign in: a password, or the identity provider. */
import { Button, Divider, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { address, OWN } from '../api/client';
import type { SessionRead } from '../api/schema.gen';
import { RichText } from '../form/RichText';
import { ErrorNote } from '../shell/ErrorNote';
import { t } from '../text';
import { signIn, waysQuery } from './session';

export function SignInForm({
  back,
  anotherTab = false,
  onSession,
}: {
  /** The page to return to from the identity provider. */
  back: string;
  /** Whether to open the identity provider in another tab, so that this page stays. */
  anotherTab?: boolean;
  onSession: (session: SessionRead) => void | Promise<void>;
}) {
  // Asked for each time: the first user changes the ways.
  const ways = useQuery({ ...waysQuery, refetchOnMount: 'always' });
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setError(null);
    try {
      await onSession(await signIn(String(form.get('email')), String(form.get('password'))));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Stack>
      {error !== null && <ErrorNote error={error} />}
      {ways.error && <ErrorNote error={ways.error} />}
      {ways.data?.password !== false && (
        <form onSubmit={(event) => void submit(event)}>
          <Stack>
            <TextInput label={t('E-mail')} name="email" type="email" autoComplete="username" required autoFocus data-autofocus />
            <PasswordInput label={t('Password')} name="password" autoComplete="current-password" required />
            <Button type="submit" loading={busy} fullWidth>
              {t('Sign in')}
            </Button>
          </Stack>
        </form>
      )}
      {ways.data?.oidc && (
        <>
          <Divider label={t('or')} />
          <Button component="a" variant="default" fullWidth href={address(`${OWN}/session/oidc`, { back })} target={anotherTab ? '_blank' : undefined}>
            {ways.data.oidc}
          </Button>
          {anotherTab && (
            <Text size="xs" c="dimmed" ta="center">
              {t('It opens in another tab. Come back to this one afterwards.')}
            </Text>
          )}
        </>
      )}
      <Text size="xs" c="dimmed" ta="center" component="div">
        <RichText text={t('Forgot your password? A server admin sets a new one with `kitestring user passwd`.')} />
      </Text>
    </Stack>
  );
}
