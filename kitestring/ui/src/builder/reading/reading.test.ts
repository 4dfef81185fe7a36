import { expect, test } from 'vitest';

import { add, emptyReading, eventsOf } from './reading';

function streamOf(...parts: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
      controller.close();
    },
  });
}

test('events come whole, however the network cuts them', async () => {
  const events: unknown[] = [];
  for await (const event of eventsOf(streamOf('event: sl', 'ice\ndata: {"slice":0}\n', '\n: the action runs\n\nevent: end\ndata: {"error"', ':"é"}\n\n'))) events.push(event);
  expect(events).toEqual([
    { event: 'slice', slice: 0 },
    { event: 'end', error: 'é' },
  ]);
});

test('a page belongs to the slice that came last', () => {
  const reading = emptyReading();
  add(reading, { event: 'slice', partition: { repo: 'a' } });
  add(reading, { event: 'page', records: [{ id: 1 }, { id: 2 }] });
  add(reading, { event: 'slice', partition: { repo: 'b' } });
  add(reading, { event: 'page', records: [{ id: 3 }] });
  add(reading, { event: 'records', slice: 1, page: 0, records: [{ id: 4 }], rejects: [] });
  add(reading, { event: 'state', slice: 1, state: { at: 3 } });
  add(reading, { event: 'end', records: 4, pages: 2, state: { at: 3 }, limited: ['pages'], error: '', hint: '' });
  expect(reading.slices.map((slice) => slice.pages.map((page) => page.records.length))).toEqual([[2], [2]]);
  expect(reading.slices[1]!.state).toEqual({ at: 3 });
  expect([reading.records, reading.pages, reading.ended, reading.state, reading.limited]).toEqual([4, 2, true, { at: 3 }, ['pages']]);
});
