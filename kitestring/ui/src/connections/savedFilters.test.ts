import { expect, test } from 'vitest';

import { parse } from './savedFilters';

test('saved filters are read back, and what is no filter is left out', () => {
  const filter = { name: 'Failed in Berlin', filter: { condition: 'failed', text: 'berlin' } };
  expect(parse(JSON.stringify([filter, { name: 3 }, null]))).toEqual([filter]);
});

test.each([[null], ['{'], ['{"a": 1}'], ['7']])('%s holds no filters', (text) => {
  expect(parse(text)).toEqual([]);
});
