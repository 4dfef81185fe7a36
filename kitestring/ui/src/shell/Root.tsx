/** What lies around every page: the note on a server that does not answer, messages, and sign-in where the session has ended. */
import { Outlet, useRouterState } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';

import { useExpired } from '../api/expiry';
import { loadModule } from '../lazyPage';
import { OfflineBanner } from './OfflineBanner';
import { Toasts } from './Toasts';

const SignInDialog = lazy(() => loadModule(async () => ({ default: (await import('../session/SignInDialog')).SignInDialog })));

export function Root() {
  const signingIn = useRouterState({ select: (state) => state.location.pathname === '/sign-in' });
  const expired = useExpired() && !signingIn;
  return (
    <>
      <OfflineBanner />
      <Toasts />
      <Outlet />
      {expired && (
        <Suspense>
          <SignInDialog />
        </Suspense>
      )}
    </>
  );
}
