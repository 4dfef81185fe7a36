import { expect, test } from 'vitest';

import { type Attempt, sendOnce } from './mutation';

test('two equal requests at the same time are one, with one key', async () => {
  const keys: string[] = [];
  const send = async (key: string): Promise<Attempt<number>> => {
    keys.push(key);
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { answer: keys.length };
  };
  expect(await Promise.all([sendOnce('POST /a', send), sendOnce('POST /a', send), sendOnce('POST /b', send)])).toEqual([2, 2, 2]);
  expect(new Set(keys).size).toBe(2);
  await sendOnce('POST /a', send);
  expect(new Set(keys).size).toBe(3);
});

test('a request without an answer is sent again with its key, also when the button is pressed again', async () => {
  const keys: string[] = [];
  const silent = (error: Error) => async (key: string): Promise<Attempt<string>> => {
    keys.push(key);
    return { answer: null, error };
  };
  await expect(sendOnce('POST /c', silent(new Error('away')), 0)).rejects.toThrow('away');
  expect(keys).toHaveLength(3);
  expect(await sendOnce('POST /c', async (key) => ({ answer: key }))).toBe(keys[0]);
  expect(new Set(keys).size).toBe(1);
  expect(await sendOnce('POST /c', async (key) => ({ answer: key }))).not.toBe(keys[0]);
});

test('a refused request has a new key next time', async () => {
  const keys: string[] = [];
  const refuse = async (key: string): Promise<Attempt<string>> => {
    keys.push(key);
    throw new Error('refused');
  };
  for (let count = 0; count < 2; count++) await expect(sendOnce('POST /d', refuse, 0)).rejects.toThrow('refused');
  expect(new Set(keys).size).toBe(2);
});
