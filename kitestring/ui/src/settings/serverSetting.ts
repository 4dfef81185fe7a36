/** A setting of the server in words: what it means where it is empty or zero, and its unit. */
import { t } from '../text';

/** What 0 means, by setting. Elsewhere 0 is a number like others, or not allowed. */
export const ZERO: Record<string, () => string> = {
  port: () => t('a free one'),
  workers: () => t('this process runs no jobs'),
  continuous_jobs: () => t('this process runs no continuous jobs'),
  jobs_per_workspace: () => t('no limit'),
  jobs_per_source: () => t('no limit'),
  memory_mb: () => t('no limit'),
  cpu_s: () => t('no limit'),
  search_processes: () => t('each search starts a process of its own'),
  pause_after: () => t('never'),
  slot_retained_mb: () => t('at once'),
};

/** “0 (no limit)”, “512 MB”, “900 s”, “Yes”, “–”. */
export function settingInWords(name: string, value: unknown): string {
  if (value === '' || value === null || value === undefined) return '–';
  if (typeof value === 'boolean') return value ? t('Yes') : t('No');
  if (typeof value !== 'number') return String(value);
  const meaning = value === 0 ? ZERO[name]?.() : undefined;
  if (meaning !== undefined) return t('{value} ({meaning})', { value, meaning });
  const unit = /_mb$/.test(name) ? 'MB' : /_s$/.test(name) ? 's' : /_days$/.test(name) ? t('days') : '';
  return unit ? `${value} ${unit}` : String(value);
}
