import { expect, test } from 'vitest';

import { cronInWords, inWords, splitCron } from './schedule';

test.each([
  ['0 30 6 * * ?', 'Daily at 06:30'],
  ['30 6 * * 1-5', 'Weekdays at 06:30'],
  ['0 30 6 ? * MON-FRI', 'Weekdays at 06:30'],
  ['0 0 9,17 ? * 2,4 *', 'Mondays and Wednesdays at 09:00 and 17:00'],
  ['0 9 * * 0', 'Sundays at 09:00'],
  ['*/15 * * * *', 'Every 15 minutes'],
  ['5 * * * *', 'Every hour at :05'],
  ['0 */6 * * *', 'Every 6 hours at :00'],
  ['0 4 1 * *', 'Day 1 of each month at 04:00'],
  ['0 4 L * *', 'The last day of each month at 04:00'],
  ['0 4 1 1 *', null],
  ['0 0 4 1 * MON', null],
  ['0 0 4 ? * MON#2', null],
  ['1 2 3', null],
])('%s is %s in words', (expression, words) => {
  expect(cronInWords(expression)).toBe(words);
});

test('the time zone follows the expression, and a weekday is not a time zone', () => {
  expect(splitCron('0 30 6 * * ? Europe/Berlin')).toEqual({ expression: '0 30 6 * * ?', zone: 'Europe/Berlin' });
  expect(splitCron('0 30 6 ? * MON').zone).toBe('UTC');
});

test('a schedule reads as a sentence', () => {
  expect(inWords({ scheduleType: 'basic', basicTiming: 'Every 1 HOURS' })).toBe('Every hour');
  expect(inWords({ scheduleType: 'basic', basicTiming: 'Every 6 HOURS' })).toBe('Every 6 hours');
  expect(inWords({ scheduleType: 'cron', cronExpression: '0 30 6 * * ? America/New_York' })).toBe(
    'Daily at 06:30, America/New York',
  );
  expect(inWords({ scheduleType: 'manual' })).toBe('Manual');
  expect(inWords({ scheduleType: 'manual', continuous: { windowSeconds: 300, rolloverSeconds: 86400 } })).toBe('Continuous');
});
