/** How a stream is read and written, in the words of the design; the API has Airbyte's compound names. */

const MODES: Record<string, [read: string, write: string]> = {
  full_refresh_overwrite: ['full refresh', 'overwrite'],
  full_refresh_overwrite_deduped: ['full refresh', 'overwrite, deduplicated'],
  full_refresh_append: ['full refresh', 'append'],
  full_refresh_update: ['full refresh', 'update'],
  full_refresh_soft_delete: ['full refresh', 'soft delete'],
  incremental_append: ['incremental', 'append'],
  incremental_deduped_history: ['incremental', 'append, deduplicated'],
  incremental_update: ['incremental', 'update'],
  incremental_soft_delete: ['incremental', 'soft delete'],
};

export function modeWords(mode: string | undefined): string {
  const [read, write] = MODES[mode ?? 'full_refresh_overwrite'] ?? [mode ?? '', ''];
  return write ? `${read} · ${write}` : read;
}

export function isIncremental(mode: string | undefined): boolean {
  return (mode ?? '').startsWith('incremental');
}
