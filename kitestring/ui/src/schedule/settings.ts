/** The schedule of a connection as a form has it, and as the API has it. */
import type { Schedule } from '../api/schema.gen';
import { splitCron } from '../connections/schedule';

export interface ScheduleSettings {
  kind: 'manual' | 'basic' | 'cron' | 'continuous';
  every: number;
  unit: string;
  expression: string;
  zone: string;
  windowMinutes: number;
  rolloverSeconds: number;
}

export const DEFAULT_SCHEDULE: ScheduleSettings = {
  kind: 'basic',
  every: 24,
  unit: 'HOURS',
  expression: '0 6 * * *',
  zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
  windowMinutes: 5,
  rolloverSeconds: 86_400,
};

/** The schedule in the form of the API. */
export function scheduleBody(schedule: ScheduleSettings): Record<string, unknown> {
  if (schedule.kind === 'basic') return { scheduleType: 'basic', basicTiming: `Every ${schedule.every} ${schedule.unit}` };
  if (schedule.kind === 'cron') return { scheduleType: 'cron', cronExpression: `${schedule.expression.trim()} ${schedule.zone}` };
  if (schedule.kind === 'continuous') {
    const { windowMinutes, rolloverSeconds } = schedule;
    return { scheduleType: 'manual', continuous: { windowSeconds: Math.round(windowMinutes * 60), rolloverSeconds } };
  }
  return { scheduleType: 'manual' };
}

/** The form values for a schedule of the API. */
export function scheduleSettingsOf(schedule: Schedule): ScheduleSettings {
  if (schedule.continuous) {
    const { windowSeconds, rolloverSeconds } = schedule.continuous;
    return { ...DEFAULT_SCHEDULE, kind: 'continuous', windowMinutes: windowSeconds / 60, rolloverSeconds };
  }
  if (schedule.scheduleType === 'cron') {
    const { expression, zone } = splitCron(schedule.cronExpression ?? '');
    return { ...DEFAULT_SCHEDULE, kind: 'cron', expression, zone };
  }
  const [, every, unit] = /(\d+)\s+(\w+)/.exec(schedule.basicTiming ?? '') ?? [];
  if (schedule.scheduleType === 'basic' && every && unit)
    return { ...DEFAULT_SCHEDULE, kind: 'basic', every: Number(every), unit: `${unit.toUpperCase().replace(/S$/, '')}S` };
  return { ...DEFAULT_SCHEDULE, kind: schedule.scheduleType === 'manual' ? 'manual' : 'basic' };
}
