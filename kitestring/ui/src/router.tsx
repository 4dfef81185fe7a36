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

const newConnectionRoute = createRoute({
  getParentRoute: () => shell,
  path: '/connections/new',
  component: lazyRouteComponent(() => import('./wizard/NewConnectionPage'), 'NewConnectionPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'source', 'destination'),
});

const editStreamsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/connections/$connectionId/streams',
  component: lazyRouteComponent(() => import('./wizard/EditStreamsPage'), 'EditStreamsPage'),
});

const sourcesRoute = createRoute({
  getParentRoute: () => shell,
  path: '/sources',
  component: lazyRouteComponent(() => import('./actor/ActorsPage'), 'SourcesPage'),
});

const newSourceRoute = createRoute({
  getParentRoute: () => shell,
  path: '/sources/new',
  component: lazyRouteComponent(() => import('./actor/NewActorPage'), 'NewSourcePage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'connector'),
});

const sourceRoute = createRoute({
  getParentRoute: () => shell,
  path: '/sources/$id',
  component: lazyRouteComponent(() => import('./actor/ActorPage'), 'SourcePage'),
});

const destinationsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations',
  component: lazyRouteComponent(() => import('./actor/ActorsPage'), 'DestinationsPage'),
});

const newDestinationRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations/new',
  component: lazyRouteComponent(() => import('./actor/NewActorPage'), 'NewDestinationPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'connector'),
});

const destinationRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations/$id',
  component: lazyRouteComponent(() => import('./actor/ActorPage'), 'DestinationPage'),
});

const consentedRoute = createRoute({
  getParentRoute: () => root,
  path: '/consented',
  component: lazyRouteComponent(() => import('./actor/ConsentedPage'), 'ConsentedPage'),
});

const ends = [sourcesRoute, newSourceRoute, sourceRoute, destinationsRoute, newDestinationRoute, destinationRoute];

/** The texts of an address by these names. */
function texts<Name extends string>(search: Record<string, unknown>, ...names: Name[]): { [name in Name]?: string } {
  const found = names.filter((name) => search[name] !== undefined).map((name) => [name, String(search[name])]);
  return Object.fromEntries(found) as { [name in Name]?: string };
}

export const router = createRouter({
  routeTree: root.addChildren([signInRoute, consentedRoute, shell.addChildren([home, newConnectionRoute, editStreamsRoute, ...ends, connectionsRoute])]),
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
