import { expect, test } from 'vitest';

import { type Entry, matching } from './entries';

const entry = (group: string, label: string, note?: string): Entry => ({ id: label, group, label, note, run: () => undefined });
const ENTRIES = [
  entry('Pages', 'Connections'),
  entry('Pages', 'Jobs'),
  entry('Actions', 'New connection'),
  entry('Connections', 'Tickets → Milvus', 'Zendesk'),
  entry('Connections', 'Sync Tickets → Milvus'),
];
const labels = (text: string) => matching(ENTRIES, text).map(({ label }) => label);

test('every word has to be in the label or the note', () => {
  expect(labels('tick zen')).toEqual(['Tickets → Milvus']);
  expect(labels('nothing like it')).toEqual([]);
  expect(labels('')).toHaveLength(ENTRIES.length);
});

test('groups keep their order, and what begins with the text comes first in its group', () => {
  expect(labels('conn')).toEqual(['Connections', 'New connection']);
  expect(labels('tick')).toEqual(['Tickets → Milvus', 'Sync Tickets → Milvus']);
  expect(labels('sync')).toEqual(['Sync Tickets → Milvus']);
});
