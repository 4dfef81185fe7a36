/** The current workspace; the menu that leads to another is loaded when it is first opened. */
import { Button, type ButtonProps, Text } from '@mantine/core';
import { IconSelector } from '@tabler/icons-react';
import { type ComponentPropsWithRef, lazy, Suspense, useState } from 'react';

import { loadModule } from '../lazyPage';
import { useWorkspace } from '../session/session';
import { t } from '../text';

const WorkspaceMenuList = lazy(() => loadModule(async () => ({ default: (await import('./WorkspaceMenuList')).WorkspaceMenuList })));

export function WorkspaceButton({ name, ...props }: { name: string } & ButtonProps & ComponentPropsWithRef<'button'>) {
  return (
    <Button
      variant="subtle"
      color="gray"
      c="var(--mantine-color-text)"
      px="xs"
      rightSection={<IconSelector size={15} aria-hidden />}
      aria-label={t('Workspace: {name}', { name })}
      aria-haspopup="menu"
      maw={260}
      miw={0}
      {...props}
    >
      <Text span inherit truncate>
        {name}
      </Text>
    </Button>
  );
}

export function WorkspaceMenu() {
  const { workspaceId, workspaces } = useWorkspace();
  const [opened, setOpened] = useState(false);
  const current = workspaces.find((workspace) => workspace.workspaceId === workspaceId);
  if (!current) return null;
  const button = <WorkspaceButton name={current.name} onClick={() => setOpened(true)} />;
  return opened ? (
    <Suspense fallback={button}>
      <WorkspaceMenuList current={current} />
    </Suspense>
  ) : (
    button
  );
}
