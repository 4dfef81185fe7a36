/** What can be done with the selected connections, and what became of each. */
import { Alert, Anchor, Button, CloseButton, Group, Paper, Text } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay, IconRefresh, IconTag } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import { plural, t } from '../text';
import type { BulkAction, BulkOutcome } from './bulk';
import type { Rights } from './ConnectionRow';

export function BulkBar({
  selected,
  matching,
  rights,
  pending,
  onAction,
  onTags,
  onAll,
  onNone,
}: {
  selected: number;
  /** How many connections match the filters. */
  matching: number;
  rights: Rights;
  /** The action that is being done. */
  pending: BulkAction | undefined;
  onAction: (action: BulkAction) => void;
  onTags: () => void;
  onAll: () => void;
  onNone: () => void;
}) {
  const button = (action: BulkAction, label: string, icon: React.ReactNode) => (
    <Button size="xs" variant="default" leftSection={icon} loading={pending === action} disabled={pending !== undefined} onClick={() => onAction(action)}>
      {label}
    </Button>
  );
  return (
    <Paper withBorder p="xs" role="toolbar" aria-label={t('Selected connections')} style={{ position: 'sticky', top: 60, zIndex: 5 }}>
      <Group gap="xs">
        <Text size="sm" fw={600} role="status">
          {plural(selected, '{count} selected', '{count} selected')}
        </Text>
        {selected < matching && (
          <Button size="compact-xs" variant="subtle" onClick={onAll}>
            {plural(matching, 'Select all {count}', 'Select all {count}')}
          </Button>
        )}
        {button('sync', t('Sync'), <IconRefresh size={14} aria-hidden />)}
        {rights.edit && button('pause', t('Pause'), <IconPlayerPause size={14} aria-hidden />)}
        {rights.edit && button('resume', t('Resume'), <IconPlayerPlay size={14} aria-hidden />)}
        {rights.edit && (
          <Button size="xs" variant="default" leftSection={<IconTag size={14} aria-hidden />} disabled={pending !== undefined} onClick={onTags}>
            {t('Tags …')}
          </Button>
        )}
        <CloseButton ml="auto" aria-label={t('Select none')} onClick={onNone} />
      </Group>
    </Paper>
  );
}

const DONE: Record<BulkAction, (count: number) => string> = {
  sync: (count) => plural(count, '{count} sync started', '{count} syncs started'),
  cancel: (count) => plural(count, '{count} job stops at its next checkpoint', '{count} jobs stop at their next checkpoint'),
  pause: (count) => plural(count, '{count} connection paused', '{count} connections paused'),
  resume: (count) => plural(count, '{count} connection resumed', '{count} connections resumed'),
  addTags: (count) => plural(count, '{count} connection tagged', '{count} connections tagged'),
  removeTags: (count) => plural(count, 'Tags removed from {count} connection', 'Tags removed from {count} connections'),
};

export function BulkReport({ outcome, onClose }: { outcome: BulkOutcome; onClose: () => void }) {
  const { action, outcomes } = outcome;
  const done = outcomes.filter((each) => each.status === 'done');
  const left = outcomes.filter((each) => each.status !== 'done').sort((a, b) => a.status.localeCompare(b.status));
  const failed = left.some((each) => each.status === 'failed');
  return (
    <Alert
      variant="light"
      color={failed ? 'red' : left.length > 0 ? 'yellow' : 'green'}
      role="status"
      withCloseButton
      closeButtonLabel={t('Close')}
      onClose={onClose}
      title={left.length > 0 ? t('{done}, {left} unchanged', { done: DONE[action](done.length), left: left.length }) : DONE[action](done.length)}
    >
      {left.length > 0 && (
        <ul style={{ margin: 0, paddingInlineStart: 20, maxHeight: 220, overflow: 'auto' }} tabIndex={0}>
          {left.map((each) => (
            <li key={each.connectionId}>
              <Anchor component={Link} to={`/connections/${each.connectionId}`} size="sm" underline="always">
                {each.name}
              </Anchor>
              <Text span size="sm">
                {': '}
                {each.message}
                {each.hint && `. ${each.hint}`}
              </Text>
            </li>
          ))}
        </ul>
      )}
    </Alert>
  );
}
