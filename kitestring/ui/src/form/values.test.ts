/** What forms say about texts and dates. */
import { expect, test } from 'vitest';

import { dateForm, readDate } from './dates';
import { formOf, patternProblem } from './pattern';
import { likelyValue } from './likelyValue';

test.each([
  ['^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$', 'a date and time such as 2025-01-01T00:00:00Z'],
  ['^[0-9]{4}-[0-9]{2}-[0-9]{2}$', 'a date such as 2025-01-01'],
  ['^\\d{4}-\\d{2}-\\d{2}$', 'a date such as 2025-01-01'],
  ['^[a-z0-9_-]+$', 'only lower-case letters, digits, _ and -'],
  ['^[A-Za-z]*$', 'only letters'],
  ['^\\w+$', undefined],
  ['^[0-9]+$', 'digits only'],
  ['^https://.+', 'an address that begins with https://'],
  ['^https?:\\/\\/', 'an address that begins with https:// or http://'],
  ['^(?!x)y', undefined],
])('the pattern %s in words', (pattern, words) => expect(formOf(pattern)).toBe(words));

test('a problem names the form, an example, or in the end the pattern', () => {
  const pattern = '^(?!x)y';
  expect(patternProblem({ pattern, pattern_descriptor: 'acme, or acme.zendesk.com', examples: ['acme'] })).toBe('Enter acme, or acme.zendesk.com.');
  expect(patternProblem({ pattern, pattern_descriptor: 'an id of a team', examples: ['T01'] })).toBe('Enter an id of a team, for example T01.');
  expect(patternProblem({ pattern, examples: ['yes'] })).toBe('Enter a value like yes.');
  expect(patternProblem({ pattern })).toBe('This does not have the expected form (^(?!x)y).');
});

const MOMENT = { type: 'string', format: 'date-time', pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$' };
const DAY = { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}$' };

test('the form of a date is the one that the field takes', () => {
  expect(dateForm(MOMENT)).toBe('T00:00:00Z');
  expect(dateForm(DAY)).toBe('');
  expect(dateForm({ type: 'string', format: 'date' })).toBe('');
  expect(dateForm({ type: 'string', format: 'date-time' })).toBe('T00:00:00Z');
  expect(dateForm({ type: 'string', pattern_descriptor: 'YYYY-MM-DD HH:mm:ss', pattern: '^\\d{4}-\\d{2}-\\d{2} \\d{2}:\\d{2}:\\d{2}$' })).toBe(' 00:00:00');
  for (const pattern of ['^.+$', '^(https://)?[A-Za-z0-9][A-Za-z0-9_-]*/?([.].*)?$', '^[0-9a-z:TZ-]{10,}$'])
    expect(dateForm({ type: 'string', pattern })).toBeUndefined();
  expect(dateForm({ type: 'string' })).toBeUndefined();
});

test.each([
  ['2025-01-01', '2025-01-01T00:00:00Z', '2025-01-01'],
  ['2025/1/2', '2025-01-02T00:00:00Z', '2025-01-02'],
  ['2.1.2025', '2025-01-02T00:00:00Z', '2025-01-02'],
  ['2025-01-01 10:30', '2025-01-01T10:30:00Z', '2025-01-01'],
  ['2025-01-01T10:30:00+02:00', '2025-01-01T08:30:00Z', '2025-01-01'],
  ['2025-02-30', undefined, undefined],
  ['yesterday', undefined, undefined],
])('%s as people type it', (text, moment, day) => {
  expect(readDate(text, 'T00:00:00Z')).toBe(moment);
  expect(readDate(text, '')).toBe(day);
});

test.each([
  ['subdomain', { examples: ['acme'] }, 'https://acme.zendesk.com/agent', 'acme'],
  ['subdomain', { examples: ['acme'] }, 'acme.zendesk.com', 'acme'],
  ['subdomain', { examples: ['acme'] }, 'acme', undefined],
  ['subdomain', { examples: ['acme'] }, ' acme ', 'acme'],
  ['host', { examples: ['db.example.com'] }, 'https://db.example.com:5432/x', 'db.example.com:5432'],
  ['host', { examples: ['http://localhost:19530'] }, 'https://milvus.example.com', undefined],
  ['base_url', { examples: ['https://api.example.com'] }, 'api.example.com/v1', 'https://api.example.com/v1'],
  ['name', {}, 'https://acme.zendesk.com', undefined],
])('%s %j: of %s', (name, schema, value, meant) => expect(likelyValue(name, schema, value)).toBe(meant));
