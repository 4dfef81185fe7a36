/** Asks before unsaved work is left by a link, Back, a reload or the tab's end. */
import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useBlocker } from '@tanstack/react-router';

import { t } from '../text';
import type { Draft } from './useDraft';

interface Place {
  pathname: string;
  search: unknown;
}

/** Another page, or another tab of it: both take the form away. */
export function leaves(current: Place, next: Place): boolean {
  const tab = ({ search }: Place) => (search as { tab?: string } | undefined)?.tab;
  return current.pathname !== next.pathname || tab(current) !== tab(next);
}

export function LeaveGuard<T>({ draft }: { draft: Draft<T> }) {
  const blocker = useBlocker({
    shouldBlockFn: ({ current, next }) => draft.needsGuard() && leaves(current, next),
    enableBeforeUnload: () => draft.needsGuard(),
    withResolver: true,
  });
  return (
    <Modal
      opened={blocker.status === 'blocked'}
      onClose={() => blocker.reset?.()}
      title={t('Leave with unsaved changes?')}
      closeButtonProps={{ 'aria-label': t('Close') }}
      centered
    >
      <Stack>
        <Text size="sm">
          {t('This browser tab keeps them, except secrets, until you come back.')}
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button
            variant="subtle"
            color="red"
            onClick={() => {
              draft.reset();
              blocker.proceed?.();
            }}
          >
            {t('Discard them')}
          </Button>
          <Button variant="default" onClick={() => blocker.proceed?.()}>
            {t('Leave')}
          </Button>
          <Button data-autofocus onClick={() => blocker.reset?.()}>
            {t('Stay')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
