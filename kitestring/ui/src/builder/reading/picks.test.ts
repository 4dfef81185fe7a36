import { expect, test } from 'vitest';

import { picksAt } from './picks';

const answer = { meta: { count: 2 }, data: { tickets: [{ id: 1, updated_at: '2026-01-01', user: { id: 7 }, tags: ['a'] }] } };

test('a list of objects is where the records are', () => {
  expect(picksAt(answer, ['data', 'tickets'])).toEqual([{ kind: 'records', path: ['data', 'tickets'] }]);
});

test('a value in a record says where the records are, and can be their key or cursor', () => {
  expect(picksAt(answer, ['data', 'tickets', 0, 'updated_at'])).toEqual([
    { kind: 'records', path: ['data', 'tickets'] },
    { kind: 'key', path: ['updated_at'] },
    { kind: 'cursor', path: ['updated_at'] },
  ]);
  expect(picksAt(answer, ['data', 'tickets', 0, 'user', 'id'])).toEqual([
    { kind: 'records', path: ['data', 'tickets'] },
    { kind: 'key', path: ['user', 'id'] },
  ]);
});

test('what lies outside of a list of objects is none of it', () => {
  expect(picksAt(answer, ['meta', 'count'])).toEqual([]);
  expect(picksAt('<html>', [])).toEqual([]);
  expect(picksAt(answer, ['data', 'tickets', 0, 'tags', 0])).toEqual([{ kind: 'records', path: ['data', 'tickets'] }]);
});

test('an answer that is the list has an empty path; lists in lists have a star', () => {
  expect(picksAt([{ id: 1 }], [0, 'id'])[0]).toEqual({ kind: 'records', path: [] });
  expect(picksAt({ groups: [{ items: [{ id: 1 }] }] }, ['groups', 0, 'items', 0, 'id'])[0]).toEqual({ kind: 'records', path: ['groups', '*', 'items'] });
});
