import { expect, test } from 'vitest';

import type { ProgressSummary } from '../api/schema.gen';
import { factsOf, leftText, phaseText, share } from './progress';

const SUMMARY: ProgressSummary = {
  phase: 'embedding',
  stream: 'tickets',
  streams: 1,
  streams_ended: 0,
  read: 470,
  written: 0,
  records_per_s: 5.5,
  done: 210,
  total: 470,
  estimated: false,
  left_s: 47,
  finished: 0,
  to_finish: 0,
  figures: { chunks_embedded: 210, chunks_to_embed: 470, tokens: 9000, cost_usd: 0.0018 },
  waiting: null,
};

test('a job says its phase with counts, the share that is done, the time left and the cost', () => {
  expect(phaseText(SUMMARY)).toBe('Embedding 210 of 470 chunks');
  expect(share(SUMMARY)).toBeCloseTo(0.447, 3);
  expect(factsOf(SUMMARY)).toEqual(['210 of 470 records', 'about 50 s left', '5.5 records/s', '9,000 tokens', '$0.0018 so far']);
});

test('what is not known is left out', () => {
  const unknown = { ...SUMMARY, phase: 'reading', streams: 3, total: null, left_s: null, figures: {} };
  const estimated = { ...unknown, total: 500, estimated: true };
  expect(factsOf(estimated)[0]).toBe('210 of about 500 records');
  expect(share(unknown)).toBeNull();
  expect(factsOf(unknown)).toEqual(['470 records read', '0 of 3 streams done', '5.5 records/s']);
});

test('a wait says why, and an overwrite how much of it is in the store', () => {
  expect(phaseText({ phase: 'waiting', waiting: { seconds: 12, reason: 'the limit of 10 calls per 60 s is reached' } })).toBe(
    'Waiting 12 s: the limit of 10 calls per 60 s is reached',
  );
  expect(phaseText({ phase: 'waiting', waiting: { seconds: 0, reason: 'status 500' } })).toBe('Trying again: status 500');
  const finishing = { phase: 'finishing', finished: 3000, to_finish: 4000, total: 10, done: 10 };
  expect(phaseText(finishing)).toBe('Finishing 3,000 of 4,000 chunks');
  expect(share(finishing)).toBe(0.75);
});

test('the time left is rounded up', () => {
  expect([3, 47, 61, 3599].map(leftText)).toEqual(['a few seconds left', 'about 50 s left', 'about 1 min 10 s left', 'about 1 h left']);
});
