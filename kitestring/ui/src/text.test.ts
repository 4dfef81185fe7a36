import { afterEach, expect, test } from 'vitest';

import { currentLanguage, plural, preferred, setCatalogue, t } from './text';

afterEach(() => setCatalogue('en', {}));

test('an English sentence is shown as it is written, with its values', () => {
  expect(t('Sync of {name} started.', { name: 'tickets' })).toBe('Sync of tickets started.');
  expect(t('No streams')).toBe('No streams');
});

test('a number is written as the language writes it', () => {
  expect(t('{rows} rows', { rows: 12_345 })).toBe('12,345 rows');
  setCatalogue('de', { '{rows} rows': '{rows} Zeilen' });
  expect(t('{rows} rows', { rows: 12_345 })).toBe('12.345 Zeilen');
});

test('a placeholder without a value stays visible, and a value is not read as a placeholder', () => {
  expect(t('{name} of {place}', { name: '{place}' })).toBe('{place} of {place}');
});

test('English has two forms of a number', () => {
  const texts = [0, 1, 2, 1000].map((count) => plural(count, '{count} stream', '{count} streams'));
  expect(texts).toEqual(['0 streams', '1 stream', '2 streams', '1,000 streams']);
});

test('a language with more forms than English uses its own', () => {
  setCatalogue('pl', { '{count} stream': { one: '{count} strumień', few: '{count} strumienie', many: '{count} strumieni' } });
  const texts = [1, 3, 5].map((count) => plural(count, '{count} stream', '{count} streams'));
  expect(texts).toEqual(['1 strumień', '3 strumienie', '5 strumieni']);
});

test('a sentence without a translation stays English', () => {
  setCatalogue('de', { Save: 'Speichern' });
  expect([t('Save'), t('Cancel')]).toEqual(['Speichern', 'Cancel']);
  expect(currentLanguage()).toBe('de');
});

test('a region falls back to its language, and an unknown language to English', () => {
  expect(preferred(['', 'de-AT', 'fr'], ['en', 'de', 'fr'])).toBe('de');
  expect(preferred(['pt-BR'], ['en', 'pt', 'pt-BR'])).toBe('pt-BR');
  expect(preferred(['xx'], ['en', 'de'])).toBe('en');
});
