import { expect, test } from 'vitest';

import { parseFilter, linkOf, restOf, titleOf } from './hit';

test.each([
  ['', null],
  ['status=new', { status: 'new' }],
  ['status=new status=open group.id=7', { status: ['new', 'open'], 'group.id': 7 }],
  ['subject="a b"', { subject: 'a b' }],
  ['organization_id == 7 and priority != "low"', 'organization_id == 7 and priority != "low"'],
  ['status=new and more', 'status=new and more'],
  ['{"status": {"not": "new"}}', { status: { not: 'new' } }],
  ['{"status": ', '{"status":'],
])('the filter %j is %j', (text, filter) => {
  expect(parseFilter(text)).toEqual(filter);
});

test('a hit is called by its subject, and only an address of the web is a link', () => {
  const hit = { distance: 0.1, id: 4, subject: 'Late parcel', text: 'It is late.', html_url: 'https://desk.example.com/4', status: 'new', tags: ['a'] };
  expect(titleOf(hit)).toBe('Late parcel');
  expect(linkOf(hit)).toBe('https://desk.example.com/4');
  expect(linkOf({ ...hit, html_url: null, url: 'javascript:alert(1)' })).toBeUndefined();
  expect(restOf(hit)).toEqual([
    ['status', 'new'],
    ['tags', '["a"]'],
  ]);
  expect(titleOf({ id: 4, distance: 0.1, text: null })).toBe('4');
});
