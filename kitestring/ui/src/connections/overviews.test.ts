import { expect, test } from 'vitest';

import type { ConnectionDetail } from '../api/schema.gen';
import { hasWritten } from './overviews';

type Known = Pick<ConnectionDetail, 'freshAtMs' | 'streams' | 'job'>;

function connection(known: object): Known {
  return { freshAtMs: null, streams: [{ last: null }], job: null, ...known } as unknown as Known;
}

test.each([
  ['never synced', {}, false],
  ['its first sync only reads', { job: { progress: { written: 0 } } }, false],
  ['its first sync has written', { job: { progress: { written: 1 } } }, true],
  ['its first sync failed at once', { streams: [{ last: { written: 0 } }] }, false],
  ['its first sync failed after some records', { streams: [{ last: null }, { last: { written: 3 } }] }, true],
  ['a second sync found all as it was', { streams: [{ last: { written: 0, unchanged: 3 } }] }, true],
  ['a sync succeeded, the next one reads', { freshAtMs: 1, job: { progress: { written: 0 } } }, true],
])('whether there is data to see: %s', (_, known, expected) => {
  expect(hasWritten(connection(known))).toBe(expected);
});
