/** Pages for an unexpected error, for code that did not load, and for an unknown address. */
import { Button, Container } from '@mantine/core';
import { IconMapOff, IconRefresh } from '@tabler/icons-react';
import { type ErrorComponentProps, Link, useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';

import { t } from '../text';
import { EmptyState } from './EmptyState';
import { ErrorNote } from './ErrorNote';

export function ErrorPage({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <Container size="sm" py="xl">
      <ErrorNote
        error={error}
        retry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </Container>
  );
}

/** A part of the interface is not on the server any more: only a reload brings the new one. */
export function OutdatedPage() {
  return (
    <EmptyState
      icon={<IconRefresh size={28} aria-hidden />}
      title={t('This page did not load')}
      action={<Button onClick={() => window.location.reload()}>{t('Reload')}</Button>}
    >
      {t('The server may have been upgraded since the interface was opened. Reload it.')}
    </EmptyState>
  );
}

export function NotFoundPage() {
  useEffect(() => {
    document.title = `${t('Page not found')} · Kitestring`;
  }, []);
  return (
    <EmptyState
      icon={<IconMapOff size={28} aria-hidden />}
      title={t('Page not found')}
      action={
        <Button component={Link} to="/connections" variant="light">
          {t('Go to connections')}
        </Button>
      }
    >
      {t('It may have been deleted, or the address is wrong.')}
    </EmptyState>
  );
}
