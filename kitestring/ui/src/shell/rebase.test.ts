import { expect, test } from 'vitest';

import { rebase } from './rebase';

const BASE = { name: 'Desk', config: { host: 'a', fields: ['x'], port: 1 } };

test('what the user left alone is as it was saved meanwhile, and what the user changed stays', () => {
  const mine = { name: 'Desk', config: { host: 'b', fields: ['x'], port: 1 } };
  const saved = { name: 'Renamed', config: { host: 'a', fields: ['x', 'y'], port: 1 } };
  expect(rebase(BASE, mine, saved)).toEqual({ value: { name: 'Renamed', config: { host: 'b', fields: ['x', 'y'], port: 1 } }, collisions: [] });
});

test('a field that both changed keeps the value of the user and is named; the same change is none', () => {
  const mine = { name: 'Mine', config: { host: 'b', fields: ['y'], port: 1 } };
  const saved = { name: 'Yours', config: { host: 'b', fields: ['z'], port: 1 } };
  expect(rebase(BASE, mine, saved)).toEqual({ value: mine, collisions: ['name', 'config.fields'] });
});

test('a field that the user emptied stays empty, and one that is new in what was saved comes in', () => {
  const mine = { name: 'Desk', config: { fields: ['x'], port: 1 } };
  const saved = { name: 'Desk', config: { host: 'a', fields: ['x'], port: 1, tls: true } };
  expect(rebase<unknown>(BASE, mine, saved).value).toEqual({ name: 'Desk', config: { fields: ['x'], port: 1, tls: true } });
});
