/** The routes. Each page is loaded when it is first shown. */
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
import { ErrorPage, NotFoundPage } from './shell/ErrorPage';
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
  validateSearch: (search: Record<string, unknown>) => ({
    ...texts(search, 'text', 'condition'),
    ...numbers(search, 'page'),
  }),
});

const connectionRoute = createRoute({
  getParentRoute: () => shell,
  path: '/connections/$connectionId',
  component: lazyRouteComponent(() => import('./connection/ConnectionPage'), 'ConnectionPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'tab'),
});

const jobsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/jobs',
  component: lazyRouteComponent(() => import('./jobs/JobsPage'), 'JobsPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'status'),
});

const jobRoute = createRoute({
  getParentRoute: () => shell,
  path: '/jobs/$jobId',
  component: lazyRouteComponent(() => import('./job/JobPage'), 'JobPage'),
});

const searchRoute = createRoute({
  getParentRoute: () => shell,
  path: '/search',
  component: lazyRouteComponent(() => import('./search/SearchPage'), 'SearchPage'),
  validateSearch: (search: Record<string, unknown>) => ({
    ...texts(search, 'in', 'text', 'where'),
    ...numbers(search, 'limit'),
  }),
});

const settingsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/settings',
  component: lazyRouteComponent(() => import('./settings/SettingsPage'), 'SettingsPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'tab'),
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
  component: lazyRouteComponent(() => import('./endpoint/EndpointsPage'), 'SourcesPage'),
});

const newSourceRoute = createRoute({
  getParentRoute: () => shell,
  path: '/sources/new',
  component: lazyRouteComponent(() => import('./endpoint/NewEndpointPage'), 'NewSourcePage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'connector'),
});

const sourceRoute = createRoute({
  getParentRoute: () => shell,
  path: '/sources/$id',
  component: lazyRouteComponent(() => import('./endpoint/EndpointPage'), 'SourcePage'),
});

const destinationsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations',
  component: lazyRouteComponent(() => import('./endpoint/EndpointsPage'), 'DestinationsPage'),
});

const newDestinationRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations/new',
  component: lazyRouteComponent(() => import('./endpoint/NewEndpointPage'), 'NewDestinationPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'connector'),
});

const destinationRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations/$id',
  component: lazyRouteComponent(() => import('./endpoint/EndpointPage'), 'DestinationPage'),
});

const consentCallbackRoute = createRoute({
  getParentRoute: () => root,
  path: '/consented',
  component: lazyRouteComponent(() => import('./endpoint/ConsentCallbackPage'), 'ConsentCallbackPage'),
});

const connectionRoutes = [connectionsRoute, newConnectionRoute, editStreamsRoute, connectionRoute, jobsRoute, jobRoute];
const endpointRoutes = [sourcesRoute, newSourceRoute, sourceRoute, destinationsRoute, newDestinationRoute, destinationRoute];

/** The text parameters of an address with these names. */
function texts<Name extends string>(search: Record<string, unknown>, ...names: Name[]): { [name in Name]?: string } {
  const entries = names.filter((name) => search[name] !== undefined).map((name) => [name, String(search[name])]);
  return Object.fromEntries(entries) as { [name in Name]?: string };
}

/** The positive integer parameters of an address with these names. */
function numbers<Name extends string>(search: Record<string, unknown>, ...names: Name[]): { [name in Name]?: number } {
  const validNames = names.filter((name) => Number.isInteger(Number(search[name])) && Number(search[name]) > 0);
  return Object.fromEntries(validNames.map((name) => [name, Number(search[name])])) as { [name in Name]?: number };
}

export const router = createRouter({
  routeTree: root.addChildren([signInRoute, consentCallbackRoute, shell.addChildren([home, ...connectionRoutes, ...endpointRoutes, searchRoute, settingsRoute])]),
  defaultErrorComponent: ErrorPage,
  defaultNotFoundComponent: NotFoundPage,
  defaultPendingComponent: () => (
    <Center py={80}>
      <Loader role="status" aria-label="Loading" />
    </Center>
  ),
  defaultPendingMs: 200,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
