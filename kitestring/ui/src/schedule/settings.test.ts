import { expect, test } from 'vitest';

import { scheduleBody, scheduleSettingsOf } from './settings';

test.each([
  { scheduleType: 'basic', basicTiming: 'Every 6 HOURS' },
  { scheduleType: 'cron', cronExpression: '0 30 6 ? * MON-FRI Europe/Berlin' },
  { scheduleType: 'cron', cronExpression: '30 6 * * 1-5 UTC' },
  { scheduleType: 'manual' },
  { scheduleType: 'manual', continuous: { windowSeconds: 120, rolloverSeconds: 3600 } },
] as const)('%o comes back from the form as it was', (schedule) => {
  expect(scheduleBody(scheduleSettingsOf(schedule))).toEqual(schedule);
});
