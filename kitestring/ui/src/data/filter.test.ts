import { expect, test } from 'vitest';

import { conditionsOf, formatFilter, parseFilter, withCondition, withoutCondition } from './filter';

test.each([
  ['', null],
  ['status=new', { status: 'new' }],
  ['status=new status=open group.id=7', { status: ['new', 'open'], 'group.id': 7 }],
  ['subject="a b"', { subject: 'a b' }],
  ['_ab_stream == "tickets"', { _ab_stream: 'tickets' }],
  ['organization_id == 7 and priority != "low"', { organization_id: 7, priority: { ne: 'low' } }],
  ['price >= 3 price<9', { price: { gte: 3, lt: 9 } }],
  ['quoted="say \\"yes\\""', { quoted: 'say "yes"' }],
  ['status=new and more', 'status=new and more'],
  ['status=new and', 'status=new and'],
  ['id ==', 'id =='],
  ['array_contains(tags, "x")', 'array_contains(tags, "x")'],
  ['{"status": {"not": "new"}}', { status: { not: 'new' } }],
  ['{"status": ', '{"status":'],
])('the filter %j is %j', (text, filter) => {
  expect(parseFilter(text)).toEqual(filter);
});

test('a click on a value adds a condition, and each can be removed', () => {
  expect(withCondition('', 'status', 'new')).toBe('status=new');
  expect(withCondition('status=new', 'id', 7)).toBe('status=new id=7');
  expect(withCondition('status=new', 'status', 'open')).toBe('status=open');
  expect(withCondition('', 'number as text', '7')).toBe('{"number as text":"7"}');
  expect(parseFilter(withCondition('', 'code', '7'))).toEqual({ code: '7' });
  expect(parseFilter(withCondition('', 'subject', 'a "b" = c'))).toEqual({ subject: 'a "b" = c' });
  expect(parseFilter(withCondition('', 'owner', null))).toEqual({ owner: null });
  expect(parseFilter(withCondition('', 'tags', ['a']))).toEqual({ tags: { contains: 'a' } });
  expect(withoutCondition('status=new id=7', 'status')).toBe('id=7');
  expect(withoutCondition('array_contains(tags, "x")', '')).toBe('');
});

test('conditions are shown in words that fit', () => {
  expect(conditionsOf('status=new status=open price >= 3').map((condition) => condition.label)).toEqual(['status = new | open', 'price ≥ 3']);
  expect(conditionsOf('exists tags').map((condition) => condition.label)).toEqual(['exists tags']);
  expect(formatFilter({ flag: true, name: '' })).toBe('flag=true name=""');
});
