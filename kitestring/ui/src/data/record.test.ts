import { expect, test } from 'vitest';

import { chunkOf, linkOf, restOf, titleOf } from './record';

test('a hit is called by its subject, and only an address of the web is a link', () => {
  const hit = { distance: 0.1, id: 4, subject: 'Late parcel', text: 'It is late.', html_url: 'https://desk.example.com/4', status: 'new', tags: ['a'] };
  expect(titleOf(hit)).toBe('Late parcel');
  expect(linkOf(hit)).toBe('https://desk.example.com/4');
  expect(linkOf({ ...hit, html_url: null, url: 'javascript:alert(1)' })).toBeUndefined();
  expect(restOf(hit)).toEqual([
    ['status', 'new'],
    ['tags', '["a"]'],
  ]);
  expect(linkOf({ url: 'https://shop.zendesk.com/api/v2/tickets/7.json' })).toBe('https://shop.zendesk.com/agent/tickets/7');
  expect(titleOf({ id: 4, distance: 0.1, text: null })).toBe('4');
  expect(titleOf({ id: '49d4c6:0', record_id: 'ticket_comments_282025', text: 'Thank you.' })).toBe('ticket_comments_282025');
});

test('a hit of a search is a chunk', () => {
  const chunk = chunkOf({ id: 'k:1', distance: 0.5, text: 'It is late.', stream: 'tickets', record_id: 'tickets_4', chunk_number: 1, status: 'new', url: null, _ab_stream: 'tickets' });
  expect(chunk).toMatchObject({ chunkId: 'k:1', number: 1, recordId: 'tickets_4', stream: 'tickets', values: { status: 'new' }, deleted: false });
});
