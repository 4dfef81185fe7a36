/** The routes. Each page is loaded when it is first shown. */
import { Loader, Center } from '@mantine/core';
import {
  createRootRoute,
  createRoute,
  createRouter,
  redirect,
} from '@tanstack/react-router';

import { queryClient } from './api/queries';
import { sessionQuery } from './session/session';
import { lazyPage } from './lazyPage';
import { ownPath } from './session/ownPath';
import { ErrorPage, NotFoundPage } from './shell/ErrorPage';
import { Root } from './shell/Root';
import { Shell } from './shell/Shell';
import { t } from './text';

const root = createRootRoute({ component: Root });

const signInRoute = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  component: lazyPage(() => import('./session/SignIn'), 'SignIn'),
  validateSearch: (search: Record<string, unknown>): { back?: string } =>
    typeof search.back === 'string' ? { back: search.back } : {},
  beforeLoad: async ({ search }) => {
    // Signed in already, or a server without users: there is nothing to sign in to.
    if ((await queryClient.ensureQueryData(sessionQuery)) !== null) throw redirect({ href: ownPath(search.back) });
  },
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
  component: lazyPage(() => import('./connections/ConnectionsPage'), 'ConnectionsPage'),
  validateSearch: (search: Record<string, unknown>) => ({
    ...texts(search, 'text', 'condition', 'tag', 'owner', 'order'),
    ...numbers(search, 'page'),
  }),
});

const connectionRoute = createRoute({
  getParentRoute: () => shell,
  path: '/connections/$connectionId',
  component: lazyPage(() => import('./connection/ConnectionPage'), 'ConnectionPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'tab', 'stream'),
});

const jobsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/jobs',
  component: lazyPage(() => import('./jobs/JobsPage'), 'JobsPage'),
  validateSearch: (search: Record<string, unknown>) => ({
    ...texts(search, 'status', 'kind', 'text'),
    ...numbers(search, 'before'),
  }),
});

const jobRoute = createRoute({
  getParentRoute: () => shell,
  path: '/jobs/$jobId',
  component: lazyPage(() => import('./job/JobPage'), 'JobPage'),
  validateSearch: (search: Record<string, unknown>) => numbers(search, 'attempt', 'line'),
});

const dataRoute = createRoute({
  getParentRoute: () => shell,
  path: '/data',
  component: lazyPage(() => import('./data/DataPage'), 'DataPage'),
  validateSearch: (search: Record<string, unknown>) => ({
    ...texts(search, 'in', 'stream', 'namespace', 'view', 'where', 'deleted', 'text', 'from'),
    ...numbers(search, 'page', 'limit'),
  }),
});

const askRoute = createRoute({
  getParentRoute: () => shell,
  path: '/ask',
  component: lazyPage(() => import('./ask/AskPage'), 'AskPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'in', 'stream', 'where'),
});

/** The address of the search page until it became a part of Data. */
const searchRoute = createRoute({
  getParentRoute: () => shell,
  path: '/search',
  validateSearch: (search: Record<string, unknown>) => ({ ...texts(search, 'in', 'text', 'where'), ...numbers(search, 'limit') }),
  beforeLoad: ({ search }) => {
    throw redirect({ to: '/data', search: { ...search, view: 'search' } });
  },
});

const settingsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/settings',
  component: lazyPage(() => import('./settings/SettingsPage'), 'SettingsPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'tab', 'actor', 'kind', 'since', 'until'),
});

const usageRoute = createRoute({
  getParentRoute: () => shell,
  path: '/usage',
  component: lazyPage(() => import('./usage/UsagePage'), 'UsagePage'),
  validateSearch: (search: Record<string, unknown>) => ({
    ...texts(search, 'measure'),
    ...numbers(search, 'months'),
  }),
});

const newConnectionRoute = createRoute({
  getParentRoute: () => shell,
  path: '/connections/new',
  component: lazyPage(() => import('./wizard/NewConnectionPage'), 'NewConnectionPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'source', 'destination', 'connector', 'step', 'created'),
});

const sourcesRoute = createRoute({
  getParentRoute: () => shell,
  path: '/sources',
  component: lazyPage(() => import('./endpoint/EndpointsPage'), 'SourcesPage'),
  validateSearch: (search: Record<string, unknown>) => ({ ...texts(search, 'text', 'order'), ...numbers(search, 'page') }),
});

const newSourceRoute = createRoute({
  getParentRoute: () => shell,
  path: '/sources/new',
  component: lazyPage(() => import('./endpoint/NewEndpointPage'), 'NewSourcePage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'connector'),
});

const sourceRoute = createRoute({
  getParentRoute: () => shell,
  path: '/sources/$id',
  component: lazyPage(() => import('./endpoint/EndpointPage'), 'SourcePage'),
});

const destinationsRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations',
  component: lazyPage(() => import('./endpoint/EndpointsPage'), 'DestinationsPage'),
  validateSearch: (search: Record<string, unknown>) => ({ ...texts(search, 'text', 'order'), ...numbers(search, 'page') }),
});

const newDestinationRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations/new',
  component: lazyPage(() => import('./endpoint/NewEndpointPage'), 'NewDestinationPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'connector'),
});

const destinationRoute = createRoute({
  getParentRoute: () => shell,
  path: '/destinations/$id',
  component: lazyPage(() => import('./endpoint/EndpointPage'), 'DestinationPage'),
});

const builderRoute = createRoute({
  getParentRoute: () => shell,
  path: '/builder',
  component: lazyPage(() => import('./builder/BuilderPage'), 'BuilderPage'),
});

const beginRoute = createRoute({
  getParentRoute: () => shell,
  path: '/builder/new',
  component: lazyPage(() => import('./builder/BeginPage'), 'BeginPage'),
});

const projectRoute = createRoute({
  getParentRoute: () => shell,
  path: '/builder/$projectId',
  component: lazyPage(() => import('./builder/ProjectPage'), 'ProjectPage'),
  validateSearch: (search: Record<string, unknown>) => texts(search, 'part', 'view'),
});

const consentCallbackRoute = createRoute({
  getParentRoute: () => root,
  path: '/consented',
  component: lazyPage(() => import('./endpoint/ConsentCallbackPage'), 'ConsentCallbackPage'),
});

/** Any other address below the frame: what is missing is said beside the menu. */
const unknownRoute = createRoute({ getParentRoute: () => shell, path: '$', component: NotFoundPage });

const connectionRoutes = [connectionsRoute, newConnectionRoute, connectionRoute, jobsRoute, jobRoute];
const endpointRoutes = [sourcesRoute, newSourceRoute, sourceRoute, destinationsRoute, newDestinationRoute, destinationRoute];
const builderRoutes = [builderRoute, beginRoute, projectRoute];

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
  routeTree: root.addChildren([signInRoute, consentCallbackRoute, shell.addChildren([home, ...connectionRoutes, ...endpointRoutes, ...builderRoutes, dataRoute, askRoute, searchRoute, usageRoute, settingsRoute, unknownRoute])]),
  defaultErrorComponent: ErrorPage,
  defaultNotFoundComponent: NotFoundPage,
  defaultPendingComponent: () => (
    <Center py={80}>
      <Loader role="status" aria-label={t('Loading')} />
    </Center>
  ),
  defaultPendingMs: 200,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
