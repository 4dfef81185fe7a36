/** Settings of the user, the workspace and the server, filtered by role. */
import { Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';

import { sessionQuery, useWorkspace } from '../session/session';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { PageHeader } from '../shell/PageHeader';
import { t } from '../text';

const route = getRouteApi('/shell/settings');
const NotificationsTab = lazy(() => import('./NotificationsTab').then((all) => ({ default: all.NotificationsTab })));
const ApplicationsTab = lazy(() => import('./ApplicationsTab').then((all) => ({ default: all.ApplicationsTab })));
const UsersTab = lazy(() => import('./UsersTab').then((all) => ({ default: all.UsersTab })));
const ConfigurationPanel = lazy(() => import('../configuration/ConfigurationPanel').then((all) => ({ default: all.ConfigurationPanel })));
const AuditTab = lazy(() => import('./AuditTab').then((all) => ({ default: all.AuditTab })));
const WorkspaceTab = lazy(() => import('./WorkspaceTab').then((all) => ({ default: all.WorkspaceTab })));
const UpdatesTab = lazy(() => import('./UpdatesTab').then((all) => ({ default: all.UpdatesTab })));
const ServerTab = lazy(() => import('./ServerTab').then((all) => ({ default: all.ServerTab })));

export function SettingsPage() {
  const { workspaceId, workspaces, may } = useWorkspace();
  const workspace = workspaces.find((other) => other.workspaceId === workspaceId);
  const server = useQuery(sessionQuery).data?.instanceAdmin ?? false;
  const navigate = route.useNavigate();
  const tabs = [
    may('admin') && (['notifications', t('Notifications'), workspaceId && <NotificationsTab key={workspaceId} workspaceId={workspaceId} />] as const),
    ['applications', t('Applications'), <ApplicationsTab />] as const,
    server && (['users', t('Users'), <UsersTab />] as const),
    ['configuration', t('Configuration as code'), workspaceId && <ConfigurationPanel key={workspaceId} workspaceId={workspaceId} />] as const,
    may('admin') && (['audit', t('Audit log'), workspaceId && <AuditTab key={workspaceId} workspaceId={workspaceId} />] as const),
    may('admin') && (['workspace', t('Workspace'), workspace && <WorkspaceTab key={workspaceId} workspace={workspace} />] as const),
    ['updates', t('Connector updates'), workspaceId && <UpdatesTab key={workspaceId} workspaceId={workspaceId} server={server} />] as const,
    server && (['server', t('Server'), <ServerTab />] as const),
  ].filter((entry) => entry !== false);
  const { tab = tabs[0]![0] } = route.useSearch();
  return (
    <>
      <PageHeader title={t('Settings')} />
      <Tabs value={tab} onChange={(value) => void navigate({ search: { tab: value ?? undefined }, replace: true })} keepMounted={false}>
        <Tabs.List mb="md">
          {tabs.map(([value, label]) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Suspense fallback={<RowsSkeleton />}>
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
