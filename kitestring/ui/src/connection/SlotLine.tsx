/** The replication slot of a connection: its state, the log that the database retains, the lag, and what a person has to do. */
import { Alert, Group, Text } from '@mantine/core';
import { IconAlertTriangle, IconDatabase } from '@tabler/icons-react';

import type { ReplicationSlot } from '../api/schema.gen';
import { duration, size } from '../shell/format';
import { Time } from '../shell/Time';
import { t } from '../text';

const STATES: Record<ReplicationSlot['state'], () => string> = {
  active: () => t('read by a job'),
  inactive: () => t('waits for the next sync'),
  unreserved: () => t('its log is about to be removed'),
  lost: () => t('its log is lost'),
  missing: () => t('is not there'),
};

/** What to do, by the alert that the server gives with a report. */
const ACTIONS: Record<string, (() => string) | undefined> = {
  lost: () => t('The connection cannot go on from its state. Run a sync: its error names the choices.'),
  unreserved: () => t('Sync now, or raise max_slot_wal_keep_size in the database.'),
  idle: () => t('Nobody has read the slot for a while. Sync the connection, or delete it: that drops the slot.'),
};

export function SlotLine({ slot }: { slot: ReplicationSlot }) {
  const title = t('Replication slot {slot}: {state}', { slot: slot.slot, state: STATES[slot.state]() });
  const action = ACTIONS[slot.alert]?.();
  if (action === undefined)
    return (
      <Group gap={8} wrap="nowrap" align="flex-start" data-slot-state={slot.state}>
        <IconDatabase size={16} aria-hidden style={{ flex: 'none', marginTop: 2 }} />
        <div style={{ minWidth: 0 }}>
          <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
            {title}
          </Text>
          <Facts slot={slot} dimmed />
        </div>
      </Group>
    );
  return (
    <Alert
      variant="light"
      color={slot.alert === 'idle' ? 'yellow' : 'red'}
      icon={<IconAlertTriangle aria-hidden />}
      title={title}
      data-slot-state={slot.state}
      styles={{ title: { overflowWrap: 'anywhere' }, body: { minWidth: 0 } }}
    >
      <Text size="sm">{action}</Text>
      <Facts slot={slot} />
    </Alert>
  );
}

function Facts({ slot, dimmed = false }: { slot: ReplicationSlot; dimmed?: boolean }) {
  const parts = [
    t('{size} of log retained in {place}', { size: size(slot.retainedBytes), place: slot.place }),
    slot.safeBytes !== null && t('lost after {size} more', { size: size(slot.safeBytes) }),
    slot.behindBytes !== null && t('{size} behind', { size: size(slot.behindBytes) }),
    slot.behindSeconds !== null && t('at most {time} late', { time: duration(slot.behindSeconds * 1000) }),
  ];
  return (
    <Text size="sm" component="div" className="numbers" c={dimmed ? 'dimmed' : undefined} style={{ overflowWrap: 'anywhere' }}>
      {parts.filter(Boolean).join(' · ')} · {t('checked')} <Time ms={slot.reportedAtMs} />
      {slot.problem && ` · ${t('cannot be checked now: {problem}', { problem: slot.problem })}`}
    </Text>
  );
}
