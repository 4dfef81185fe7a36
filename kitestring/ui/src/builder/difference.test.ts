import { expect, test } from 'vitest';

import { difference } from './difference';

const rendered = (before: string, after: string) =>
  difference(before, after).map((run) => run.map((line) => ({ same: ' ', removed: '-', added: '+' })[line.kind] + line.text));

test('equal texts have no difference', () => {
  expect(difference('a\nb', 'a\nb')).toEqual([]);
});

test('a changed line is rendered with three lines around it', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\nh\ni';
  expect(rendered(before, before.replace('e', 'E'))).toEqual([[' b', ' c', ' d', '-e', '+E', ' f', ' g', ' h']]);
});

test('changes far from each other are runs of their own, with the numbers of both texts', () => {
  const before = Array.from({ length: 40 }, (_, index) => `line ${index}`);
  const after = ['new', ...before.slice(0, 30), ...before.slice(31)];
  const runs = difference(before.join('\n'), after.join('\n'));
  expect(runs.length).toBe(2);
  expect(runs[0]![0]).toEqual({ kind: 'added', text: 'new', after: 1 });
  expect(runs[1]!.find((line) => line.kind === 'removed')).toEqual({ kind: 'removed', text: 'line 30', before: 31 });
  expect(runs[1]!.at(-1)).toEqual({ kind: 'same', text: 'line 33', before: 34, after: 34 });
});

test('moved and repeated lines keep both texts whole', () => {
  const texts = ['a\nb\nc\na\nb', 'b\nc\nc\na', '', 'x\ny', 'c\nb\na\nb\nc'];
  for (const before of texts)
    for (const after of texts) {
      const lines = difference(before, after).flat();
      if (before === after) continue;
      expect(lines.filter((line) => line.kind !== 'added').map((line) => line.text).join('\n')).toBe(before);
      expect(lines.filter((line) => line.kind !== 'removed').map((line) => line.text).join('\n')).toBe(after);
    }
});
