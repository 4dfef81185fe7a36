import { expect, test } from 'vitest';

import { withoutUnused } from './unusedStyles';

test('rules of components that are not in use go, with what only they were in', () => {
  const css = '.m_77c9d27d{color:red}.m_aaaaaaaa,.m_77c9d27d:hover{color:blue}@media print{.m_aaaaaaaa{top:0}}@layer x{}.log{top:1px}';
  expect(withoutUnused(css, (name) => name === 'm_77c9d27d')).toBe('.m_77c9d27d{color:red}.m_77c9d27d:hover{color:blue}.log{top:1px}');
});
