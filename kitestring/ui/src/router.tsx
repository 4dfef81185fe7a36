/** Which address shows which page. Each page is loaded when it is first shown. */
import { Loader, Center } from '@mantine/core';
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';

import { queryClient } from './api/queries';
import { sessionQuery } from './session/session';
import { SignIn } from './session/SignIn';
import { Failed, Missing } from './shell/Failed';
import { Shell } from './shell/Shell';

const root = createRootRoute({ component: Outlet });

const signInRoute = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  component: SignIn,
  validateSearch: (search: Record<string, unknown>): { back?: string } =>
    typeof search.back === 'string' ? { back: search.back } : {},
});

const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: Shell,
  beforeLoad: async ({ location }) => {
    const session = await queryClient.ensureQueryData(sessionQuery);
    if (session === null) throw redirect({ to: '/sign-in', search: { back: location.href } });
  },
});

const home = createRoute({
  getParentRoute: () => shell,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/connections' });
  },
});

const connectionsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/connections',
  component: lazyRouteComponent(() => import('./connections/ConnectionsPage'), 'ConnectionsPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([signInRoute, shell.addChildren([home, connectionsRoute])]),
  defaultErrorComponent: Failed,
  defaultNotFoundComponent: Missing,
  defaultPendingComponent: () => (
    <Center py={80}>
      <Loader aria-label="Loading" />
    </Center>
  ),
  defaultPendingMs: 200,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
