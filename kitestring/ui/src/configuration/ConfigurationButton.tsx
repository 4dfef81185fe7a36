/** Opens the configuration of what is on the page as YAML, beside the page. */
import { Button, Drawer, Skeleton } from '@mantine/core';
import { useDisclosure, useMediaQuery } from '@mantine/hooks';
import { IconFileCode } from '@tabler/icons-react';
import { lazy, Suspense } from 'react';

import { t } from '../text';
import type { Part } from './configuration';

const ConfigurationPanel = lazy(() => import('./ConfigurationPanel').then((all) => ({ default: all.ConfigurationPanel })));

export function ConfigurationButton({ workspaceId, part }: { workspaceId: string; part: Part }) {
  const [opened, { open, close }] = useDisclosure();
  const phone = useMediaQuery('(max-width: 48em)', undefined, { getInitialValueInEffect: false });
  return (
    <>
      <Button variant="default" leftSection={<IconFileCode size={16} aria-hidden />} onClick={open}>
        {t('YAML')}
      </Button>
      <Drawer
        opened={opened}
        onClose={close}
        position="right"
        size={phone ? '100%' : 760}
        title={t('{name} as code', { name: part.name })}
        closeButtonProps={{ 'aria-label': t('Close') }}
        styles={{ title: { overflowWrap: 'anywhere', fontWeight: 650 } }}
      >
        <Suspense fallback={<Skeleton h={320} />}>
          <ConfigurationPanel workspaceId={workspaceId} part={part} />
        </Suspense>
      </Drawer>
    </>
  );
}
