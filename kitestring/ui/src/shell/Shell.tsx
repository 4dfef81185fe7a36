/** The frame of every page: navigation, workspace and user menu. */
import { ActionIcon } from '@mantine/core';
import { useDisclosure, useReducedMotion } from '@mantine/hooks';
import { IconMenu2 } from '@tabler/icons-react';
import { Outlet, useRouterState } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';

import { Keys } from '../palette/Keys';
import { t } from '../text';
import { Navigation } from './Navigation';
import { OpenServerNote } from './OpenServerNote';
import styles from './shell.module.css';
import { UserMenu } from './UserMenu';
import { WorkspaceMenu } from './WorkspaceMenu';

export function Shell() {
  const [opened, { open, close }] = useDisclosure();
  const page = useEntrance();
  return (
    <div className={styles.frame}>
      <a href="#content" className="skip">
        {t('Skip to the content')}
      </a>
      <Navigation opened={opened} onClose={close} />
      <header className={styles.bar} inert={opened}>
        <ActionIcon variant="subtle" color="gray" c="var(--mantine-color-text)" size="lg" hiddenFrom="sm" aria-label={t('Menu')} aria-expanded={opened} aria-controls="navigation" onClick={open}>
          <IconMenu2 size={20} aria-hidden />
        </ActionIcon>
        <WorkspaceMenu />
        <div className={styles.grow} />
        <Keys />
        <UserMenu />
      </header>
      <main id="content" tabIndex={-1} className={styles.main} inert={opened}>
        <div ref={page} className={styles.page}>
          <OpenServerNote />
          <Outlet />
        </div>
      </main>
    </div>
  );
}

/** Lets a page come in when it has replaced another one. */
function useEntrance() {
  const element = useRef<HTMLDivElement>(null);
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const still = useReducedMotion();
  const first = useRef(true);
  useEffect(() => {
    if (path === undefined) return;
    if (!first.current && !still) element.current?.animate([{ opacity: 0, transform: 'translateY(4px)' }, {}], { duration: 180, easing: 'ease-out' });
    first.current = false;
  }, [path, still]);
  return element;
}
