/** The replication slot of a connection in one line: its state, the log that the database retains, and the lag. */
import { Group, Text } from '@mantine/core';
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

export function SlotLine({ slot }: { slot: ReplicationSlot }) {
  const bad = ['unreserved', 'lost', 'missing'].includes(slot.state) || slot.alert !== '';
  const Icon = bad ? IconAlertTriangle : IconDatabase;
  const parts = [
    t('{size} retained', { size: size(slot.retainedBytes) }),
    slot.behindBytes !== null ? t('{size} behind', { size: size(slot.behindBytes) }) : undefined,
    slot.behindSeconds !== null ? t('at most {time} old', { time: duration(slot.behindSeconds * 1000) }) : undefined,
  ];
  return (
    <Group gap={6} wrap="nowrap" align="flex-start" c={bad ? 'var(--mantine-color-error)' : undefined} data-slot-state={slot.state}>
      <Icon size={16} aria-hidden style={{ flex: 'none', marginTop: 2 }} />
      <Text size="sm" component="div" className="numbers" style={{ overflowWrap: 'anywhere' }}>
        {t('Replication slot {slot}: {state}', { slot: slot.slot, state: STATES[slot.state]() })} · {parts.filter(Boolean).join(' · ')} ·{' '}
        {t('seen')} <Time ms={slot.reportedAtMs} />
        {slot.problem && ` · ${slot.problem}`}
      </Text>
    </Group>
  );
}
