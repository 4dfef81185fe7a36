/** A status as icon and label: never as colour alone. It lights up when it changes. */
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

import { t } from '../text';
import { useChanges } from './Changed';
import styles from './status.module.css';

const SIZE = 14;
const LOADER = <span className={styles.turning} aria-hidden />;
const BADGES: Record<string, { color: string; label: () => string; icon: ReactNode }> = {
  succeeded: { color: 'green', label: () => t('Succeeded'), icon: <IconCircleCheck size={SIZE} aria-hidden /> },
  suspicious: { color: 'yellow', label: () => t('Suspicious'), icon: <IconAlertTriangle size={SIZE} aria-hidden /> },
  failed: { color: 'red', label: () => t('Failed'), icon: <IconCircleX size={SIZE} aria-hidden /> },
  lost: { color: 'red', label: () => t('Worker lost'), icon: <IconCircleX size={SIZE} aria-hidden /> },
  cancelled: { color: 'gray', label: () => t('Cancelled'), icon: <IconPlayerStop size={SIZE} aria-hidden /> },
  running: { color: 'blue', label: () => t('Running'), icon: LOADER },
  reading: { color: 'blue', label: () => t('Reading'), icon: LOADER },
  pending: { color: 'blue', label: () => t('Queued'), icon: <IconClock size={SIZE} aria-hidden /> },
  incomplete: { color: 'orange', label: () => t('Will retry'), icon: <IconRotateClockwise size={SIZE} aria-hidden /> },
  paused: { color: 'gray', label: () => t('Paused'), icon: <IconPlayerPause size={SIZE} aria-hidden /> },
  deciding: { color: 'orange', label: () => t('Needs a decision'), icon: <IconAlertTriangle size={SIZE} aria-hidden /> },
  never: { color: 'gray', label: () => t('Not run yet'), icon: <IconCircleDashed size={SIZE} aria-hidden /> },
};

export function statusWord(status: string): string {
  return BADGES[status]?.label() ?? status;
}

/** The colour of a status, for bars and marks beside its word. */
export function statusColor(status: string): string {
  return BADGES[status]?.color ?? 'gray';
}

export function StatusBadge({ status }: { status: string }) {
  const changes = useChanges(status);
  return (
    <span key={changes} className={changes > 0 ? `${styles.badge} changed` : styles.badge} data-color={statusColor(status)}>
      {BADGES[status]?.icon ?? <IconCircleDashed size={SIZE} aria-hidden />}
      {statusWord(status)}
    </span>
  );
}
