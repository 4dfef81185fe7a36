import { expect, test } from 'vitest';

import { add, emptyReading, type Reading } from './reading';
import { hintOf, refusesCredentials } from './refusal';

/** A read that ended with an error after an exchange: of a page, or beside the pages. */
function ended(status: number, event: 'page' | 'other', error = 'answered'): Reading {
  const reading = emptyReading();
  const exchange = { status };
  add(reading, { event, exchange });
  add(reading, { event: 'end', error, hint: 'Check the configuration.' });
  return reading;
}

test('credentials are refused where the vendor says so, or gives no token', () => {
  expect([401, 403, 404, 500].map((status) => refusesCredentials(ended(status, 'page')))).toEqual([true, true, false, false]);
  expect([400, 401, 200].map((status) => refusesCredentials(ended(status, 'other')))).toEqual([true, true, false]);
  expect(refusesCredentials(ended(401, 'page', ''))).toBe(false);
});

test('an address that does not exist is one of the form', () => {
  expect(hintOf(ended(404, 'page'))).toContain('Check the path of the stream');
  expect(hintOf(ended(500, 'page'))).toBe('Check the configuration.');
});
