/** The button of the user menu; what it opens is loaded when it is first opened. */
import { ActionIcon, type ActionIconProps } from '@mantine/core';
import { IconUser } from '@tabler/icons-react';
import { type ComponentPropsWithRef, lazy, Suspense, useState } from 'react';

import { loadModule } from '../lazyPage';
import { t } from '../text';

const UserMenuList = lazy(() => loadModule(async () => ({ default: (await import('./UserMenuList')).UserMenuList })));

export function UserButton(props: ActionIconProps & ComponentPropsWithRef<'button'>) {
  return (
    <ActionIcon variant="default" size="lg" radius="xl" aria-label={t('User menu')} aria-haspopup="menu" {...props}>
      <IconUser size={18} aria-hidden />
    </ActionIcon>
  );
}

export function UserMenu() {
  const [opened, setOpened] = useState(false);
  const button = <UserButton onClick={() => setOpened(true)} />;
  return opened ? (
    <Suspense fallback={button}>
      <UserMenuList />
    </Suspense>
  ) : (
    button
  );
}
