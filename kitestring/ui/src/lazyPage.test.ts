import { expect, test, vi } from 'vitest';

import { loadModule } from './lazyPage';

test('code that does not come is asked for again', async () => {
  let attempts = 0;
  const load = () => (++attempts < 3 ? Promise.reject(new TypeError('Failed to fetch')) : Promise.resolve('page'));
  expect(await loadModule(load, () => Promise.resolve())).toBe('page');
});

test('code that is not on the server any more is an error after some attempts', async () => {
  const load = vi.fn(() => Promise.reject(new TypeError('Failed to fetch dynamically imported module')));
  await expect(loadModule(load, () => Promise.resolve())).rejects.toThrow('Failed to fetch');
  expect(load).toHaveBeenCalledTimes(3);
});
