import { expect, test } from 'vitest';

import { continuesText, meaningOf } from './keys';

const press = (key: string, held: object = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, defaultPrevented: false, isComposing: false, ...held });

test('a key means nothing while one types, but Ctrl-K does', () => {
  for (const key of ['/', 'c', 's', 'j', 'k', '?']) {
    expect(meaningOf(press(key), false)).not.toBeNull();
    expect(meaningOf(press(key), true)).toBeNull();
  }
  expect(meaningOf(press('k', { ctrlKey: true }), true)).toBe('palette');
  expect(meaningOf(press('K', { metaKey: true }), false)).toBe('palette');
});

test('keys of the browser and of an input method stay theirs', () => {
  expect(meaningOf(press('c', { ctrlKey: true }), false)).toBeNull();
  expect(meaningOf(press('s', { metaKey: true }), false)).toBeNull();
  expect(meaningOf(press('j', { altKey: true }), false)).toBeNull();
  expect(meaningOf(press('j', { isComposing: true }), false)).toBeNull();
  expect(meaningOf(press('x'), false)).toBeNull();
});

test('the rest of a text whose field has gone runs no action', () => {
  expect(continuesText('c', 250)).toBe(true);
  expect(continuesText('c', 5000)).toBe(false);
  expect(continuesText('c', Infinity)).toBe(false);
  expect(continuesText('ArrowDown', 250)).toBe(false);
});
