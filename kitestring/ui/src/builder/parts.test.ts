import { expect, test } from 'vitest';

import { defectsOfParts, freeName, partKey, partOf } from './parts';

test('a part comes back from its address', () => {
  for (const key of ['settings', 'inputs', 'authentication', 'whole', 'streams.0', 'dynamic_streams.12']) expect(partKey(partOf(key)!)).toBe(key);
  expect(partOf('streams.x')).toBeNull();
  expect(partOf(undefined)).toBeNull();
});

test('a new stream gets a name that none has', () => {
  expect(freeName('records', [])).toBe('records');
  expect(freeName('records', ['records', 'records_2'])).toBe('records_3');
});

test('a defect is counted at the part whose form shows it', () => {
  const paths = ['check.stream_names[0]', 'check', 'spec.x', 'definitions.requester.authenticator.type', 'definitions.a', 'streams[0].name', ''];
  expect(defectsOfParts(paths.map((path) => ({ path })))).toEqual({ settings: 2, inputs: 1, authentication: 1, whole: 1 });
});
