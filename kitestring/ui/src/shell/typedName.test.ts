import { expect, test } from 'vitest';

import { isTypedName } from './typedName';

test('a name with an arrow can be typed on a keyboard', () => {
  expect(isTypedName('Zendesk Support -> Milvus', 'Zendesk Support → Milvus')).toBe(true);
  expect(isTypedName(' Zendesk Support → Milvus ', 'Zendesk Support → Milvus')).toBe(true);
  expect(isTypedName('a → b', 'a -> b')).toBe(true);
});

test('another name, a part of the name or none is not the name', () => {
  for (const typed of ['', 'Zendesk Support', 'zendesk support -> milvus', 'Zendesk Support > Milvus', 'Zendesk Support Milvus'])
    expect(isTypedName(typed, 'Zendesk Support → Milvus')).toBe(false);
});
