import { expect, test } from 'vitest';

import { leaves } from './LeaveGuard';
import { keepAll, readDraft, writeDraft } from './useDraft';

interface Source {
  name: string;
  config: { host?: string; password?: string };
}

function storage() {
  const items = new Map<string, string>();
  return { items, getItem: (key: string) => items.get(key) ?? null, setItem: (key: string, value: string) => void items.set(key, value) };
}

const withoutPassword = ({ name, config: { password: _, ...config } }: Source): Source => ({ name, config });

test('what was entered comes back, with the saved values for what was not kept', () => {
  const kept = storage();
  const saved = { name: 'Shop', config: { host: 'old', password: '**********' } };
  writeDraft(kept, 'source', withoutPassword(saved), { name: 'Shop 2', config: { host: 'new' } });
  expect([...kept.items.values()].join()).not.toContain('*');
  expect(readDraft(kept, 'source', saved, withoutPassword)).toEqual({ value: { name: 'Shop 2', config: { host: 'new', password: '**********' } }, overtaken: false });
  expect(readDraft(kept, 'another', saved, withoutPassword)).toBeNull();
});

test('what was entered is laid over values that somebody saved since, and it is said', () => {
  const kept = storage();
  writeDraft(kept, 'source', { name: 'Shop', host: 'a' }, { name: 'Shop 2', host: 'a' });
  expect(readDraft(kept, 'source', { name: 'Shop', host: 'b' }, keepAll)).toEqual({ value: { name: 'Shop 2', host: 'b' }, overtaken: true });
  kept.items.set('kitestring.draft.source', 'no JSON');
  expect(readDraft(kept, 'source', { name: 'Shop', host: 'b' }, keepAll)).toBeNull();
});

test('another page or tab takes a form away, another filter does not', () => {
  const place = (pathname: string, search: object) => ({ pathname, search });
  expect(leaves(place('/a', {}), place('/b', {}))).toBe(true);
  expect(leaves(place('/a', { tab: 'x' }), place('/a', {}))).toBe(true);
  expect(leaves(place('/a', { tab: 'x', page: 1 }), place('/a', { tab: 'x', page: 2 }))).toBe(false);
});
