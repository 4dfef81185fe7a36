/** The menu of the list's rows: one, placed at the button that opens it. */
import { Menu, Text } from '@mantine/core';
import { IconFileText, IconPlayerPause, IconPlayerPlay, IconSettings, IconTag } from '@tabler/icons-react';

import type { ConnectionOverview } from '../api/schema.gen';
import { t } from '../text';
import { ACTIVE } from './overviews';

export interface OpenedMenu {
  connection: ConnectionOverview;
  button: HTMLElement;
}

export function RowMenu({
  opened,
  onClose,
  onStatus,
  onTags,
  onVisit,
}: {
  opened: OpenedMenu;
  onClose: () => void;
  onStatus: (connection: ConnectionOverview, action: 'pause' | 'resume') => void;
  onTags: (connection: ConnectionOverview) => void;
  onVisit: (address: string) => void;
}) {
  const { connection, button } = opened;
  const place = button.getBoundingClientRect();
  const paused = connection.status !== 'active';
  const running = connection.job !== null && ACTIVE.includes(connection.job.status);
  const address = `/connections/${connection.connectionId}`;
  const close = () => {
    onClose();
    button.focus();
  };
  return (
    <Menu opened onChange={(open) => !open && close()} position="bottom-end" withinPortal>
      <Menu.Target>
        <span style={{ position: 'fixed', top: place.top, left: place.left, width: place.width, height: place.height, pointerEvents: 'none' }} />
      </Menu.Target>
      <Menu.Dropdown aria-label={t('Actions for {name}', { name: connection.name })}>
        <Menu.Item
          leftSection={paused ? <IconPlayerPlay size={15} aria-hidden /> : <IconPlayerPause size={15} aria-hidden />}
          onClick={() => onStatus(connection, paused ? 'resume' : 'pause')}
        >
          {paused ? t('Resume') : t('Pause')}
          {!paused && running && (
            <Text size="xs" c="dimmed" maw={200}>
              {t('Further syncs; the job that runs now goes on.')}
            </Text>
          )}
        </Menu.Item>
        <Menu.Item leftSection={<IconTag size={15} aria-hidden />} onClick={() => onTags(connection)}>
          {t('Tags …')}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item leftSection={<IconFileText size={15} aria-hidden />} onClick={() => onVisit(`${address}?tab=jobs`)}>
          {t('Jobs')}
        </Menu.Item>
        <Menu.Item leftSection={<IconSettings size={15} aria-hidden />} onClick={() => onVisit(`${address}?tab=settings`)}>
          {t('Settings')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
