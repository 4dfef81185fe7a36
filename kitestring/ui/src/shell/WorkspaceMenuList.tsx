/** The workspaces to go to, the way to a new one, and to the name of this one. */
import { Menu } from '@mantine/core';
import { IconCheck, IconPlus, IconSettings } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';

import type { Workspace } from '../api/schema.gen';
import { loadModule } from '../lazyPage';
import { chooseWorkspace, sessionQuery, useWorkspace } from '../session/session';
import { t } from '../text';
import { WorkspaceButton } from './WorkspaceMenu';

const NewWorkspace = lazy(() => loadModule(async () => ({ default: (await import('./NewWorkspace')).NewWorkspace })));

export function WorkspaceMenuList({ current }: { current: Workspace }) {
  const { workspaceId, workspaces, may } = useWorkspace();
  const session = useQuery(sessionQuery).data;
  const [creating, setCreating] = useState(false);
  const mayCreate = session?.instanceAdmin || session?.organizations.some(({ role }) => role === 'editor' || role === 'admin');
  return (
    <>
      <Menu defaultOpened position="bottom-start" width={260}>
        <Menu.Target>
          <WorkspaceButton name={current.name} />
        </Menu.Target>
        <Menu.Dropdown mah={420} style={{ overflowY: 'auto' }}>
          <Menu.Label>{t('Workspaces')}</Menu.Label>
          {workspaces.map((workspace) => (
            <Menu.Item
              key={workspace.workspaceId}
              aria-current={workspace.workspaceId === workspaceId || undefined}
              rightSection={workspace.workspaceId === workspaceId ? <IconCheck size={15} aria-hidden /> : undefined}
              onClick={() => chooseWorkspace(workspace.workspaceId)}
            >
              {workspace.name}
            </Menu.Item>
          ))}
          {(may('admin') || mayCreate) && <Menu.Divider />}
          {may('admin') && (
            <Menu.Item renderRoot={(props) => <Link to="/settings" search={{ tab: 'workspace' }} {...props} />} leftSection={<IconSettings size={15} aria-hidden />}>
              {t('Rename this workspace …')}
            </Menu.Item>
          )}
          {mayCreate && (
            <Menu.Item leftSection={<IconPlus size={15} aria-hidden />} onClick={() => setCreating(true)}>
              {t('New workspace …')}
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      {creating && (
        <Suspense>
          <NewWorkspace onClose={() => setCreating(false)} />
        </Suspense>
      )}
    </>
  );
}
