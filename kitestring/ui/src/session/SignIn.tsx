/** The sign-in page: a password, or a button for the identity provider. */
import { Button, Center, Divider, Image, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';

import { address, OWN } from '../api/client';
import { ErrorNote } from '../shell/ErrorNote';
import { signIn, waysQuery } from './session';

/** Only a path of this server: `//elsewhere` and `https://elsewhere` are other sites. */
export function ownPath(back: string | undefined): string {
  return back && /^\/(?![/\\])/.test(back) ? back : '/';
}

export function SignIn() {
  const ways = useQuery(waysQuery);
  const navigate = useNavigate();
  const back = ownPath((useSearch({ strict: false }) as { back?: string }).back);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setError(null);
    try {
      await signIn(String(form.get('email')), String(form.get('password')));
      await navigate({ href: back, replace: true });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Center component="main" mih="100vh" p="md">
      <Paper withBorder shadow="sm" p="xl" w={400} maw="100%">
        <Stack>
          <Stack gap={4} align="center">
            <Image src="/kite.svg" w={44} h={44} alt="" />
            <Title order={1} size="h3">
              Sign in to Kitestring
            </Title>
          </Stack>
          {error !== null && <ErrorNote error={error} />}
          {ways.error && <ErrorNote error={ways.error} />}
          {ways.data?.password !== false && (
            <form onSubmit={(event) => void submit(event)}>
              <Stack>
                <TextInput label="E-mail" name="email" type="email" autoComplete="username" required autoFocus />
                <PasswordInput label="Password" name="password" autoComplete="current-password" required />
                <Button type="submit" loading={busy} fullWidth>
                  Sign in
                </Button>
              </Stack>
            </form>
          )}
          {ways.data?.oidc && (
            <>
              <Divider label="or" />
              <Button component="a" variant="default" fullWidth href={address(`${OWN}/session/oidc`, { back })}>
                {ways.data.oidc}
              </Button>
            </>
          )}
          <Text size="xs" c="dimmed" ta="center">
            Forgot your password? A server admin sets a new one with <code>kitestring user passwd</code>.
          </Text>
        </Stack>
      </Paper>
    </Center>
  );
}
