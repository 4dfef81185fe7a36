/** A status as icon and label: never as colour alone. */
import { Badge, Loader } from '@mantine/core';
import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconClock,
  IconPlayerPause,
  IconPlayerStop,
  IconRotateClockwise,
} from '@tabler/icons-react';
import type { ReactNode } from 'react';

const SIZE = 14;
const BADGES: Record<string, { color: string; label: string; icon: ReactNode }> = {
  succeeded: { color: 'green', label: 'Succeeded', icon: <IconCircleCheck size={SIZE} aria-hidden /> },
  suspicious: { color: 'yellow', label: 'Suspicious', icon: <IconAlertTriangle size={SIZE} aria-hidden /> },
  failed: { color: 'red', label: 'Failed', icon: <IconCircleX size={SIZE} aria-hidden /> },
  lost: { color: 'red', label: 'Worker lost', icon: <IconCircleX size={SIZE} aria-hidden /> },
  cancelled: { color: 'gray', label: 'Cancelled', icon: <IconPlayerStop size={SIZE} aria-hidden /> },
  running: { color: 'blue', label: 'Running', icon: <Loader size={11} color="blue" aria-hidden /> },
  reading: { color: 'blue', label: 'Reading', icon: <Loader size={11} color="blue" aria-hidden /> },
  pending: { color: 'blue', label: 'Queued', icon: <IconClock size={SIZE} aria-hidden /> },
  incomplete: { color: 'orange', label: 'Will retry', icon: <IconRotateClockwise size={SIZE} aria-hidden /> },
  paused: { color: 'gray', label: 'Paused', icon: <IconPlayerPause size={SIZE} aria-hidden /> },
  deciding: { color: 'orange', label: 'Needs a decision', icon: <IconAlertTriangle size={SIZE} aria-hidden /> },
  never: { color: 'gray', label: 'Not run yet', icon: <IconCircleDashed size={SIZE} aria-hidden /> },
};

export function statusWord(status: string): string {
  return BADGES[status]?.label ?? status;
}

export function StatusBadge({ status }: { status: string }) {
  const badge = BADGES[status] ?? { color: 'gray', label: status, icon: <IconCircleDashed size={SIZE} aria-hidden /> };
  return (
    <Badge
      variant="light"
      color={badge.color}
      leftSection={badge.icon}
      tt="none"
      fw={600}
      radius="sm"
      // The light variant's own text is too pale for small type on a pale ground (WCAG AA).
      styles={{
        root: { flexShrink: 0 },
        label: { color: `light-dark(color-mix(in srgb, var(--mantine-color-${badge.color}-9) 70%, black), var(--mantine-color-${badge.color}-2))` },
      }}
    >
      {badge.label}
    </Badge>
  );
}
