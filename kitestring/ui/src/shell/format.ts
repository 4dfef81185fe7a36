/** Numbers, sizes, durations and times as people read them, in the viewer's language. */
import { currentLanguage } from '../text';
import { currentPreferences } from './preferences';

// A formatter costs far more to make than to use, and a list uses hundreds: one of each for a language and a zone.
const formatters = new Map<string, unknown>();

function formatter<Formatter>(key: string, make: (language: string) => Formatter): Formatter {
  const language = currentLanguage();
  const known = formatters.get(`${language} ${key}`) as Formatter | undefined;
  if (known) return known;
  const created = make(language);
  formatters.set(`${language} ${key}`, created);
  return created;
}

export function count(value: number): string {
  return formatter('count', (language) => new Intl.NumberFormat(language)).format(value);
}

/** 950, 12.3k, 4.5M: where a column has no room for all digits. */
export function short(value: number): string {
  const notation = value < 10_000 ? 'standard' : 'compact';
  return formatter(notation, (language) => new Intl.NumberFormat(language, { notation, maximumFractionDigits: 1 })).format(value);
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

/** $12.34, $0.0018: as many digits as a small bill needs. */
export function money(usd: number): string {
  const digits = usd >= 1 || usd === 0 ? 2 : usd >= 0.0001 ? 4 : 6;
  const options = { style: 'currency', currency: 'USD', minimumFractionDigits: digits, maximumFractionDigits: digits } as const;
  return formatter(`money ${digits}`, (language) => new Intl.NumberFormat(language, options)).format(usd);
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
  const times = formatter('relative', (language) => new Intl.RelativeTimeFormat(language, { numeric: 'auto' }));
  if (Math.abs(s) < 5) return times.format(0, 'second');
  if (Math.abs(s) < 60) return times.format(s, 'second');
  if (Math.abs(s) < 3600) return times.format(Math.round(s / 60), 'minute');
  if (Math.abs(s) < 86_400) return times.format(Math.round(s / 3600), 'hour');
  return times.format(Math.round(s / 86_400), 'day');
}

/** The language of dates. English dates have the day first and 24 hours. */
function dateLanguage(): string {
  return currentLanguage() === 'en' ? 'en-GB' : currentLanguage();
}

/** The zone of times for `Intl`: the viewer's own where it is undefined. */
export function timeZone(): string | undefined {
  return currentPreferences().zone === 'utc' ? 'UTC' : undefined;
}

/** The exact moment with its zone: “29 Nov 2026, 14:05:09 CET”. */
export function exact(atMs: number): string {
  const zone = timeZone();
  const moments = formatter(`exact ${zone ?? ''}`, () =>
    new Intl.DateTimeFormat(dateLanguage(), {
      day: 'numeric',
      month: 'short',
      year: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'short',
      timeZone: zone,
    }),
  );
  return moments.format(atMs);
}

const NAMES: Record<string, string> = { cost_usd: 'cost in US$' };

/** The name of a figure in words: `chunks_reused` is “chunks reused”. */
export function figureName(name: string): string {
  return NAMES[name] ?? name.replaceAll('_', ' ');
}
