import { expect, test } from 'vitest';

import { line } from './log';

test('an entry is a line with its time, its level, its message and what belongs to it', () => {
  const at_ms = Date.UTC(2026, 10, 25, 10, 0, 0, 7);
  expect(line({ at_ms, level: 'info', message: 'a page was read', attempt: 2, stream: 'users', figures: { read: 3 } })).toBe(
    '2026-11-25T10:00:00.007Z info a page was read stream=users figures={"read":3}',
  );
});
