import { expect, test } from 'vitest';

import type { Schema } from './schema';
import { withSuggestions } from './suggestions';

const STORE: Schema = {
  type: 'object',
  properties: {
    processing: {
      type: 'object',
      properties: { chunk_size: { type: 'integer' }, text_fields: { type: 'array', items: { type: 'string' } } },
    },
  },
};

test('a new form of a vector store begins with a chunk size and the suggested fields', () => {
  const fields = { 'processing.text_fields': { data: ['title', 'id'], value: ['title'] } };
  expect(withSuggestions(STORE, {}, fields)).toEqual({ processing: { chunk_size: 256, text_fields: ['title'] } });
});

test('a chunk size that the specification gives stays, and other forms get none', () => {
  expect(withSuggestions(STORE, { processing: { chunk_size: 1000 } }, {})).toEqual({ processing: { chunk_size: 1000 } });
  expect(withSuggestions({ type: 'object', properties: { path: { type: 'string' } } }, {}, {})).toEqual({});
});
