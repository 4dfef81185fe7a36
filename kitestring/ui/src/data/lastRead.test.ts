import { expect, test } from 'vitest';

import { differences } from './LastRead';

test('what was read and is no row of its own is named, and nothing else', () => {
  expect(differences({})).toEqual([]);
  expect(differences({ unchanged: 16, superseded: 16, rejected: 1 })).toEqual([
    '16 were there already, or are deletions of records that were never there',
    '16 came more than once, and the last version of each is kept',
    '1 was rejected',
  ]);
});
