import { expect, test } from 'vitest';

import { freeName, partKey, partOf } from './parts';

test('a part comes back from its address', () => {
  for (const key of ['settings', 'inputs', 'authentication', 'whole', 'streams.0', 'dynamic_streams.12']) expect(partKey(partOf(key)!)).toBe(key);
  expect(partOf('streams.x')).toBeNull();
  expect(partOf(undefined)).toBeNull();
});

test('a new stream gets a name that none has', () => {
  expect(freeName('records', [])).toBe('records');
  expect(freeName('records', ['records', 'records_2'])).toBe('records_3');
});
