import { expect, test } from 'vitest';

import { highlighted, measureOfSearch } from './data';

test('the places of an answer are marked in what is shown of its text', () => {
  expect(highlighted('late parcel', [[5, 11]], 0)).toEqual(['late ', 'parcel', '']);
  expect(highlighted('parcel is late', [[2, 4], [6, 12], [16, 20]], 6)).toEqual(['', 'parcel', ' is ', 'late', '']);
  expect(highlighted('👩 late', [[2, 6]], 0)).toEqual(['👩 ', 'late', '']);
  expect(highlighted('none', [], 0)).toEqual(['none']);
});

test('an answer says which end of its scores is near; without a word, the order of the hits does', () => {
  const answer = { data: [{ id: 1, distance: 1, text: null }, { id: 2, distance: 0.5, text: null }], highlights: [], metric: 'L2', hybrid: false, lastSyncAtMs: null, writing: false };
  expect(measureOfSearch({ ...answer, nearest: 'smallest' })).toBe('distance');
  expect(measureOfSearch({ ...answer, nearest: '' })).toBe('similarity');
  expect(measureOfSearch(undefined)).toBe('unknown');
});
