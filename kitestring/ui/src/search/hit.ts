/** Search hits in a readable form, and the filter of a search. */

import type { SearchHit } from '../api/schema.gen';

const TITLES = ['subject', 'title', 'name'];
const LINKS = ['html_url', 'url', '_url'];
const MAX_FIELDS = 12;

export function titleOf(hit: SearchHit): string {
  const title = TITLES.map((name) => hit[name]).find((value) => value !== undefined && value !== null && value !== '');
  return String(title ?? hit.id ?? '');
}

/** A web address in the record; anything else is not a link. */
export function linkOf(hit: SearchHit): string | undefined {
  return LINKS.map((name) => hit[name]).find((value): value is string => typeof value === 'string' && /^https?:\/\//.test(value));
}

/** The metadata that the page does not show elsewhere. */
export function restOf(hit: SearchHit): [string, string][] {
  return Object.entries(hit)
    .filter(([name, value]) => !['id', 'distance', 'text', 'stream', ...LINKS].includes(name) && !name.startsWith('_') && value !== null && value !== '')
    .filter(([, value]) => String(value) !== titleOf(hit))
    .slice(0, MAX_FIELDS)
    .map(([name, value]) => [name, short(typeof value === 'object' ? JSON.stringify(value) : String(value))]);
}

const short = (text: string) => (text.length > 120 ? `${text.slice(0, 119)}…` : text);

/** Parse “status=new priority=high” or a JSON filter; anything else is passed on in the store's own filter language. */
export function parseFilter(text: string): Record<string, unknown> | string | null {
  const trimmed = text.trim();
  if (!trimmed) return null;
  const written = trimmed.startsWith('{') ? parseValue(trimmed) : null;
  if (written !== null && typeof written === 'object') return written as Record<string, unknown>;
  const pairs = trimmed.match(/[A-Za-z_][\w.]*=(?!=)("[^"]*"|\S+)/g);
  if (!pairs || pairs.join(' ') !== trimmed.replace(/\s+/g, ' ')) return trimmed;
  const filter: Record<string, unknown> = {};
  for (const pair of pairs) {
    const separator = pair.indexOf('=');
    const name = pair.slice(0, separator);
    const value = parseValue(pair.slice(separator + 1));
    filter[name] = name in filter ? [...(Array.isArray(filter[name]) ? (filter[name] as unknown[]) : [filter[name]]), value] : value;
  }
  return filter;
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
