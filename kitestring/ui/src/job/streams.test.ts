import { expect, test } from 'vitest';

import { ordered, statusCounts, sums } from './streams';

const STREAMS = {
  users: { status: 'succeeded', read: 5, written: 5, figures: { tokens: 10 } },
  tickets: { status: 'waiting', read: 0 },
  articles: { status: 'failed', read: 2, written: 1, figures: { tokens: 4, cost_usd: 0.5 } },
  posts: { status: 'succeeded', read: 1, written: 1 },
};

test('what failed is first, and streams alike keep their order', () => {
  expect(ordered(STREAMS).map((row) => row.key)).toEqual(['articles', 'tickets', 'users', 'posts']);
  expect(statusCounts(ordered(STREAMS))).toEqual([['failed', 1], ['waiting', 1], ['succeeded', 2]]);
});

test('figures add up over streams', () => {
  expect(sums(ordered(STREAMS))).toMatchObject({ read: 8, written: 7, figures: { tokens: 14, cost_usd: 0.5 } });
});
