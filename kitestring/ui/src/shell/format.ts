/** Numbers, sizes and durations as people read them. */

export function count(value: number): string {
  return value.toLocaleString('en');
}

/** 950, 12.3k, 4.5M: where a column has no room for all digits. */
export function short(value: number): string {
  return new Intl.NumberFormat('en', { notation: value < 10_000 ? 'standard' : 'compact', maximumFractionDigits: 1 }).format(
    value,
  );
}

export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 3 d 4 h. */
export function duration(ms: number): string {
  const s = ms / 1000;
  if (s < 10) return `${Math.max(0, s).toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min${Math.floor(s % 60) ? ` ${Math.floor(s % 60)} s` : ''}`;
  const h = Math.floor(min / 60);
  if (h < 24) return `${h} h${min % 60 ? ` ${min % 60} min` : ''}`;
  return `${Math.floor(h / 24)} d${h % 24 ? ` ${h % 24} h` : ''}`;
}

/** “3 minutes ago”, “in 2 hours”, “now”. */
export function relative(atMs: number, nowMs: number): string {
  const s = Math.round((atMs - nowMs) / 1000);
  const formatter = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  if (Math.abs(s) < 5) return 'now';
  if (Math.abs(s) < 60) return formatter.format(s, 'second');
  if (Math.abs(s) < 3600) return formatter.format(Math.round(s / 60), 'minute');
  if (Math.abs(s) < 86_400) return formatter.format(Math.round(s / 3600), 'hour');
  return formatter.format(Math.round(s / 86_400), 'day');
}

/** The exact moment in the viewer's zone. */
export function exact(atMs: number): string {
  return new Date(atMs).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
}

const NAMES: Record<string, string> = { cost_usd: 'cost in US$' };

/** The name of a figure in words: `chunks_reused` is “chunks reused”. */
export function figureName(name: string): string {
  return NAMES[name] ?? name.replaceAll('_', ' ');
}
