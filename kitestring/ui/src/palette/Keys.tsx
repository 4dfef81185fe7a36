/** The keys of the interface and the palette, present on every page; what they open is loaded when it is first opened. */
import { Button, ActionIcon, Kbd } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';

import { loadModule } from '../lazyPage';
import { useWorkspace } from '../session/session';
import { t } from '../text';
import { endText, handleKey } from './keys';

const Palette = lazy(() => loadModule(async () => ({ default: (await import('./Palette')).Palette })));
const KeyHelp = lazy(() => loadModule(async () => ({ default: (await import('./KeyHelp')).KeyHelp })));

export function Keys() {
  const [opened, setOpened] = useState<'palette' | 'help' | null>(null);
  const navigate = useNavigate();
  const { may } = useWorkspace();
  const mayCreate = may('editor');
  useEffect(() => {
    const listener = (event: KeyboardEvent) =>
      // What is typed while the palette is still loading is no key of the page.
      opened === null &&
      handleKey(event, {
        openPalette: () => setOpened('palette'),
        openHelp: () => setOpened('help'),
        newConnection: () => mayCreate && void navigate({ to: '/connections/new' }),
      });
    document.addEventListener('keydown', listener);
    document.addEventListener('pointerdown', endText);
    return () => {
      document.removeEventListener('keydown', listener);
      document.removeEventListener('pointerdown', endText);
    };
  }, [mayCreate, navigate, opened]);
  const open = () => setOpened('palette');
  return (
    <>
      <Button
        visibleFrom="sm"
        variant="default"
        c="dimmed"
        fw={400}
        leftSection={<IconSearch size={15} aria-hidden />}
        rightSection={<Kbd size="xs">Ctrl K</Kbd>}
        aria-keyshortcuts="Control+K Meta+K"
        onClick={open}
      >
        {t('Jump to …')}
      </Button>
      <ActionIcon hiddenFrom="sm" variant="subtle" color="gray" c="var(--mantine-color-text)" size="lg" aria-label={t('Jump to …')} onClick={open}>
        <IconSearch size={19} aria-hidden />
      </ActionIcon>
      {opened && (
        <Suspense>
          {opened === 'palette' ? <Palette onClose={() => setOpened(null)} onHelp={() => setOpened('help')} /> : <KeyHelp onClose={() => setOpened(null)} />}
        </Suspense>
      )}
    </>
  );
}
