/** Pages for an unexpected error and for an unknown address. */
import { Button, Container } from '@mantine/core';
import { IconMapOff } from '@tabler/icons-react';
import { type ErrorComponentProps, Link, useRouter } from '@tanstack/react-router';

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

export function NotFoundPage() {
  return (
    <EmptyState
      icon={<IconMapOff size={28} aria-hidden />}
      title="Page not found"
      action={
        <Button component={Link} to="/connections" variant="light">
          Go to connections
        </Button>
      }
    >
      It may have been deleted, or the address is wrong.
    </EmptyState>
  );
}
