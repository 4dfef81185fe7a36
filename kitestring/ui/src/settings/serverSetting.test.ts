import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { settingInWords, ZERO } from './serverSetting';

test('a setting is shown with its unit, and zero with its meaning', () => {
  expect(settingInWords('memory_mb', 0)).toBe('0 (no limit)');
  expect(settingInWords('memory_mb', 512)).toBe('512 MB');
  expect(settingInWords('stall_s', 900)).toBe('900 s');
  expect(settingInWords('interface', false)).toBe('No');
  expect(settingInWords('programs', '')).toBe('–');
  expect(settingInWords('python_components', null)).toBe('–');
});

test('each setting of the server that may be zero has a meaning for it', () => {
  const source = readFileSync('../server/settings.py', 'utf-8');
  const zeros = [...source.matchAll(/^ {4}(\w+): (?:int|float) = option\([^)]*\bge=0\b/gm)].map((match) => match[1]!);
  expect(zeros).toContain('memory_mb');
  expect(Object.keys(ZERO).sort()).toEqual(zeros.sort());
});
