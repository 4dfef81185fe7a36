import { expect, test } from 'vitest';

import { emptyReading } from './reading';
import { kept, MOST_OF_STREAM, type StreamRead } from './useReading';

const read = (place: string | undefined, startedMs: number): StreamRead => ({ place, fromState: false, reading: emptyReading(), startedMs, endedMs: startedMs });
const times = (reads: readonly StreamRead[]) => reads.map(({ startedMs }) => startedMs);

test('beside a new read, a stream keeps its latest reads, and those of other streams stay', () => {
  const reads = [read('a', 1), read('b', 2), read('a', 3), read('a', 4), read('b', 5)];
  expect(times(kept(reads, 'a'))).toEqual([2, 3, 4, 5]);
  expect(times(kept(reads, 'b'))).toEqual([1, 2, 3, 4, 5]);
  expect(times(kept(reads, 'c'))).toEqual([1, 2, 3, 4, 5]);
});

test('with the new read a stream never has more than it may, whatever it had before', () => {
  let reads: StreamRead[] = [];
  for (let number = 0; number < 10; number += 1) reads = [...kept(reads, 'a'), read('a', number)];
  expect(times(reads)).toEqual([7, 8, 9]);
  expect(reads).toHaveLength(MOST_OF_STREAM);
});

test('of all streams together, the oldest reads go first', () => {
  let reads: StreamRead[] = [];
  for (let number = 0; number < 12; number += 1) reads = [...kept(reads, `stream ${number}`), read(`stream ${number}`, number)];
  expect(times(reads)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test('a stream without a place in the manifest is a stream of its own', () => {
  const reads = [read(undefined, 1), read('a', 2), read(undefined, 3), read(undefined, 4)];
  expect(times(kept(reads, undefined))).toEqual([2, 3, 4]);
});
