/** What becomes of records that the source no longer lists: the setting `detectDeletes` of a stream. */
import { modeOf } from '../modes';
import { t } from '../text';
import type { StreamConfig } from './streams';

export type DeletionMode = 'off' | 'soft' | 'hard';

/** The mode of the setting, which may have more than a mode. */
export function deletionMode(config: StreamConfig): DeletionMode {
  const setting = config.detectDeletes;
  const mode = setting !== null && typeof setting === 'object' ? (setting as { mode?: unknown }).mode : setting;
  return mode === 'soft' || mode === 'hard' ? mode : 'off';
}

/** The modes that fit a sync mode: none where all records are replaced or every version is kept. */
export function deletionModes(syncMode: string): DeletionMode[] {
  const mode = modeOf(syncMode);
  if (!mode?.needsKey || mode.writes.startsWith('overwrite')) return ['off'];
  return mode.writes === 'soft_delete' ? ['off', 'soft'] : ['off', 'hard', 'soft'];
}

export const deletionModeLabel = (mode: DeletionMode): string =>
  ({ off: t('Stay'), hard: t('Are removed'), soft: t('Are marked as deleted') })[mode];

/** The stream with this mode. Its other settings stay. */
export function withDeletionMode(config: StreamConfig, mode: DeletionMode): StreamConfig {
  const { detectDeletes: setting, ...rest } = config;
  if (mode === 'off') return rest as StreamConfig;
  return { ...rest, detectDeletes: setting !== null && typeof setting === 'object' ? { ...setting, mode } : mode } as StreamConfig;
}
