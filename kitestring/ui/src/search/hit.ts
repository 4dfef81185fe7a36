/** What a search found, as people read it. */

import type { SearchHit } from '../api/schema.gen';

const TITLES = ['subject', 'title', 'name'];
const LINKS = ['html_url', 'url', '_url'];
const SHOWN = 12;

export function titleOf(hit: SearchHit): string {
  const found = TITLES.map((name) => hit[name]).find((value) => value !== undefined && value !== null && value !== '');
  return String(found ?? hit.id ?? '');
}

/** An address of the web that the record brings along; anything else is no link. */
export function linkOf(hit: SearchHit): string | undefined {
  return LINKS.map((name) => hit[name]).find((value): value is string => typeof value === 'string' && /^https?:\/\//.test(value));
}

/** The metadata that is not shown otherwise. */
export function restOf(hit: SearchHit): [string, string][] {
  return Object.entries(hit)
    .filter(([name, value]) => !['id', 'distance', 'text', 'stream', ...LINKS].includes(name) && !name.startsWith('_') && value !== null && value !== '')
    .filter(([, value]) => String(value) !== titleOf(hit))
    .slice(0, SHOWN)
    .map(([name, value]) => [name, short(typeof value === 'object' ? JSON.stringify(value) : String(value))]);
}

const short = (text: string) => (text.length > 120 ? `${text.slice(0, 119)}…` : text);

/** “status=new priority=high” as field and value, and a filter in JSON; anything else is left to the store's own language. */
export function filterOf(said: string): Record<string, unknown> | string | null {
  const words = said.trim();
  if (!words) return null;
  const written = words.startsWith('{') ? valueOf(words) : null;
  if (written !== null && typeof written === 'object') return written as Record<string, unknown>;
  const pairs = words.match(/[A-Za-z_][\w.]*=(?!=)("[^"]*"|\S+)/g);
  if (!pairs || pairs.join(' ') !== words.replace(/\s+/g, ' ')) return words;
  const found: Record<string, unknown> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    const value = valueOf(pair.slice(at + 1));
    found[name] = name in found ? [...(Array.isArray(found[name]) ? (found[name] as unknown[]) : [found[name]]), value] : value;
  }
  return found;
}

function valueOf(said: string): unknown {
  try {
    return JSON.parse(said) as unknown;
  } catch {
    return said;
  }
}
