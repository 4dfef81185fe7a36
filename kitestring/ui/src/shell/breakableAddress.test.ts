import { expect, test } from 'vitest';

import { addressParts } from './BreakableAddress';

test('an address breaks at its signs and loses nothing', () => {
  const address = 'https://kitestring.example.com/api/kitestring/v1/oauth/callback?a_long=1&b=2#top';
  expect(addressParts(address).join('')).toBe(address);
  expect(addressParts('https://example.com/api/v1')).toEqual(['https://', 'example', '.com', '/api', '/v1']);
});
