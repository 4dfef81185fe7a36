/** Settings of the user, the workspace and the server, filtered by role. */
import { Skeleton, Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';

import { sessionQuery, useWorkspace } from '../session/session';
import { PageHeader } from '../shell/PageHeader';

const route = getRouteApi('/shell/settings');
const NotificationsTab = lazy(() => import('./NotificationsTab').then((all) => ({ default: all.NotificationsTab })));
const ApplicationsTab = lazy(() => import('./ApplicationsTab').then((all) => ({ default: all.ApplicationsTab })));
const UsersTab = lazy(() => import('./UsersTab').then((all) => ({ default: all.UsersTab })));
const AuditTab = lazy(() => import('./AuditTab').then((all) => ({ default: all.AuditTab })));
const ServerTab = lazy(() => import('./ServerTab').then((all) => ({ default: all.ServerTab })));

export function SettingsPage() {
  const { workspaceId, may } = useWorkspace();
  const server = useQuery(sessionQuery).data?.instanceAdmin ?? false;
  const navigate = route.useNavigate();
  const tabs = [
    may('admin') && (['notifications', 'Notifications', workspaceId && <NotificationsTab key={workspaceId} workspaceId={workspaceId} />] as const),
    ['applications', 'Applications', <ApplicationsTab />] as const,
    server && (['users', 'Users', <UsersTab />] as const),
    may('admin') && (['audit', 'Audit log', workspaceId && <AuditTab key={workspaceId} workspaceId={workspaceId} />] as const),
    server && (['server', 'Server', <ServerTab />] as const),
  ].filter((entry) => entry !== false);
  const { tab = tabs[0]![0] } = route.useSearch();
  return (
    <>
      <PageHeader title="Settings" />
      <Tabs value={tab} onChange={(value) => void navigate({ search: { tab: value ?? undefined }, replace: true })} keepMounted={false}>
        <Tabs.List mb="md">
          {tabs.map(([value, label]) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Suspense fallback={<Skeleton h={240} />}>
          {tabs.map(([value, , panel]) => (
            <Tabs.Panel key={value} value={value}>
              {panel}
            </Tabs.Panel>
          ))}
        </Suspense>
      </Tabs>
    </>
  );
}
