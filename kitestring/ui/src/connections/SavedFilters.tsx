/** The button of saved filters. What it opens is loaded when it is first pressed: a popover costs more than the list's rows. */
import { Button } from '@mantine/core';
import { IconBookmark } from '@tabler/icons-react';
import { lazy, Suspense, useState } from 'react';

import { loadModule } from '../lazyPage';
import { t } from '../text';
import type { Filter } from './overviews';

const SavedFiltersPopover = lazy(() => loadModule(async () => ({ default: (await import('./SavedFiltersPopover')).SavedFiltersPopover })));

export function SavedFilters({ workspaceId, filter, onShow }: { workspaceId: string; filter: Filter; onShow: (filter: Filter) => void }) {
  const [opened, setOpened] = useState<boolean | null>(null);
  const button = (
    <Button
      variant="default"
      leftSection={<IconBookmark size={16} aria-hidden />}
      aria-haspopup="dialog"
      aria-expanded={opened ?? false}
      // The button is drawn again around the popover, which gives the focus back to it.
      autoFocus={opened ?? false}
      onClick={() => setOpened(!opened)}
    >
      {t('Saved filters')}
    </Button>
  );
  return (
    <Suspense fallback={button}>
      {opened === null ? (
        button
      ) : (
        <SavedFiltersPopover workspaceId={workspaceId} filter={filter} onShow={onShow} opened={opened} onOpened={setOpened}>
          {button}
        </SavedFiltersPopover>
      )}
    </Suspense>
  );
}
