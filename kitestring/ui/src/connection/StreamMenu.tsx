/** The actions on one stream of a connection. */
import { ActionIcon, Menu } from '@mantine/core';
import { IconCalendarSearch, IconDotsVertical, IconEraser, IconRefresh, IconTable } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import { dataAddress } from '../data/data';
import { isIncremental } from '../modes';
import { t } from '../text';

export function StreamMenu({
  connectionId,
  destinationId,
  streamKey,
  syncMode,
  busy,
  run,
  edit,
  onRefresh,
  onClear,
  onBackfill,
}: {
  connectionId: string;
  destinationId: string;
  streamKey: string;
  syncMode: string;
  busy: boolean;
  run: boolean;
  edit: boolean;
  onRefresh: (keys: string[]) => void;
  onClear: (keys: string[]) => void;
  onBackfill: (key: string) => void;
}) {
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={t('Actions for {stream}', { stream: streamKey })}>
          <IconDotsVertical size={17} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item component={Link} to="/data" search={dataAddress(destinationId, connectionId, streamKey) as never} leftSection={<IconTable size={15} aria-hidden />}>
          {t('Data')}
        </Menu.Item>
        {run && (
          <Menu.Item leftSection={<IconRefresh size={15} aria-hidden />} disabled={busy} onClick={() => onRefresh([streamKey])}>
            {t('Refresh …')}
          </Menu.Item>
        )}
        {run && isIncremental(syncMode) && (
          <Menu.Item leftSection={<IconCalendarSearch size={15} aria-hidden />} disabled={busy} onClick={() => onBackfill(streamKey)}>
            {t('Backfill …')}
          </Menu.Item>
        )}
        {edit && (
          <Menu.Item leftSection={<IconEraser size={15} aria-hidden />} color="red" disabled={busy} onClick={() => onClear([streamKey])}>
            {t('Clear …')}
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
