/** A status as icon and word: never as colour alone. */
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
const MARKS: Record<string, { color: string; word: string; icon: ReactNode }> = {
  succeeded: { color: 'green', word: 'Succeeded', icon: <IconCircleCheck size={SIZE} aria-hidden /> },
  suspicious: { color: 'yellow', word: 'Suspicious', icon: <IconAlertTriangle size={SIZE} aria-hidden /> },
  failed: { color: 'red', word: 'Failed', icon: <IconCircleX size={SIZE} aria-hidden /> },
  lost: { color: 'red', word: 'Worker lost', icon: <IconCircleX size={SIZE} aria-hidden /> },
  cancelled: { color: 'gray', word: 'Cancelled', icon: <IconPlayerStop size={SIZE} aria-hidden /> },
  running: { color: 'blue', word: 'Running', icon: <Loader size={11} color="blue" aria-hidden /> },
  reading: { color: 'blue', word: 'Reading', icon: <Loader size={11} color="blue" aria-hidden /> },
  pending: { color: 'blue', word: 'Queued', icon: <IconClock size={SIZE} aria-hidden /> },
  incomplete: { color: 'orange', word: 'Will try again', icon: <IconRotateClockwise size={SIZE} aria-hidden /> },
  paused: { color: 'gray', word: 'Paused', icon: <IconPlayerPause size={SIZE} aria-hidden /> },
  deciding: { color: 'orange', word: 'Needs a decision', icon: <IconAlertTriangle size={SIZE} aria-hidden /> },
  never: { color: 'gray', word: 'Not run yet', icon: <IconCircleDashed size={SIZE} aria-hidden /> },
};

export function statusWord(status: string): string {
  return MARKS[status]?.word ?? status;
}

export function StatusBadge({ status }: { status: string }) {
  const mark = MARKS[status] ?? { color: 'gray', word: status, icon: <IconCircleDashed size={SIZE} aria-hidden /> };
  return (
    <Badge
      variant="light"
      color={mark.color}
      leftSection={mark.icon}
      tt="none"
      fw={600}
      radius="sm"
      // The light variant's own text is too pale for small type on a pale ground (WCAG AA).
      styles={{
        root: { flexShrink: 0 },
        label: { color: `light-dark(color-mix(in srgb, var(--mantine-color-${mark.color}-9) 70%, black), var(--mantine-color-${mark.color}-2))` },
      }}
    >
      {mark.word}
    </Badge>
  );
}
