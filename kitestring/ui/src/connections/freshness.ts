/** How old the data at the destination is, and whether a sync is late. */
import type { ConnectionOverview } from '../api/schema.gen';
import { duration } from '../shell/format';
import { t } from '../text';

/** A scheduled sync that has not begun this long after its time is late: the server is behind, or stopped. */
const LATE_MS = 5 * 60_000;
const MINUTE_MS = 60_000;

export interface Freshness {
  /** “12 min old”; empty before the first success. */
  age: string;
  late: boolean;
}

export function freshnessOf(
  connection: Pick<ConnectionOverview, 'freshAtMs' | 'nextRunAtMs' | 'status'>,
  running: boolean,
  nowMs: number,
): Freshness {
  const ageMs = connection.freshAtMs === null ? null : nowMs - connection.freshAtMs;
  return {
    // To the minute: a list in which every second counts is not read.
    age: ageMs === null ? '' : ageMs < MINUTE_MS ? t('under a minute old') : t('{time} old', { time: duration(Math.floor(ageMs / MINUTE_MS) * MINUTE_MS) }),
    late: !running && connection.status === 'active' && connection.nextRunAtMs !== null && connection.nextRunAtMs < nowMs - LATE_MS,
  };
}
