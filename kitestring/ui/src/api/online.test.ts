import { expect, test } from 'vitest';

import { isAnswering, onComeback, untilAnswer } from './online';

test('a request that failed while the server answers is no silence', async () => {
  expect(await untilAnswer(() => Promise.resolve(true))).toBe(false);
  expect(isAnswering()).toBe(true);
});

test('while the server is silent all that ask wait for the same probe, and its return is announced', async () => {
  const answers = [false, false, true];
  const states: boolean[] = [];
  const waits: number[] = [];
  let comebacks = 0;
  const stop = onComeback(() => comebacks++);
  const probe = () => Promise.resolve(answers.shift() ?? true);
  const pause = (ms: number) => {
    waits.push(ms);
    states.push(isAnswering());
    return Promise.resolve();
  };
  const results = await Promise.all([untilAnswer(probe, pause), untilAnswer(probe, pause)]);
  stop();
  expect(results).toEqual([true, true]);
  expect(states).toEqual([false, false]);
  expect(waits[1]).toBeGreaterThan(waits[0]!);
  expect([isAnswering(), comebacks, answers.length]).toEqual([true, 1, 0]);
});
