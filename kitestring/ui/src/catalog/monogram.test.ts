import { expect, test } from 'vitest';

import { iconType } from './ConnectorIcon';
import { inkOn, monogram } from './monogram';

test('a monogram has the first letters of two words, or of one, in the colour of the vendor', () => {
  expect(monogram('acme-help', 'Acme Help', '599D15')).toEqual({ letters: 'AH', colour: '599D15' });
  expect(monogram('acme', 'Acme').letters).toBe('AC');
  expect(monogram('x', '').letters).toBe('X');
  expect(monogram('unknown-vendor', 'Unknown')).toEqual(monogram('unknown-vendor', 'Unknown'));
  expect(monogram('unknown-vendor', 'Unknown').colour).toMatch(/^[0-9a-f]{6}$/);
});

test('the ink is white where white can be read', () => {
  expect([inkOn('03363D'), inkOn('FFDE02'), inkOn('FFFFFF'), inkOn('000000')]).toEqual(['#fff', '#000', '#000', '#fff']);
});

test('an image, a connector of ours and a type are one', () => {
  for (const text of ['airbyte/source-acme-help:4.1', 'acme_help', 'acme-help', 'source-acme-help@3']) expect(iconType(text)).toBe('acme-help');
});
