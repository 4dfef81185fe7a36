/** A schedule in words. A complex expression stays an expression. */
import type { Schedule } from '../api/schema.gen';
import { plural, t } from '../text';

const NAMES = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const dayName = (day: number) =>
  [t('Sundays'), t('Mondays'), t('Tuesdays'), t('Wednesdays'), t('Thursdays'), t('Fridays'), t('Saturdays')][day]!;

export interface Cron {
  expression: string;
  zone: string;
}

/** Split the time zone, which the API appends, from the expression. */
export function splitCron(text: string): Cron {
  const parts = text.trim().split(/\s+/);
  const last = parts.at(-1) ?? '';
  if (parts.length > 5 && /^[A-Za-z_]+(\/[A-Za-z_+\-0-9]+)*$/.test(last) && !/^(L|LW|SUN|MON|TUE|WED|THU|FRI|SAT)$/i.test(last)) {
    return { expression: parts.slice(0, -1).join(' '), zone: last };
  }
  return { expression: parts.join(' '), zone: 'UTC' };
}

export function inWords(timing: Schedule): string {
  if (timing.scheduleType === 'basic') {
    const [, every, unit] = /(\d+)\s+(\w+)/.exec(timing.basicTiming ?? '') ?? [];
    if (!every || !unit) return timing.basicTiming ?? '';
    return interval(Number(every), unit.toLowerCase().replace(/s$/, ''));
  }
  if (timing.scheduleType === 'cron') {
    const { expression, zone } = splitCron(timing.cronExpression ?? '');
    const sentence = cronInWords(expression) ?? t('Cron {expression}', { expression });
    return zone === 'UTC' ? `${sentence} UTC` : `${sentence}, ${zone.replaceAll('_', ' ')}`;
  }
  return timing.continuous ? t('Continuous') : t('Manual');
}

function interval(every: number, unit: string): string {
  if (unit === 'minute') return plural(every, 'Every minute', 'Every {count} minutes');
  if (unit === 'hour') return plural(every, 'Every hour', 'Every {count} hours');
  if (unit === 'day') return plural(every, 'Every day', 'Every {count} days');
  if (unit === 'week') return plural(every, 'Every week', 'Every {count} weeks');
  if (unit === 'month') return plural(every, 'Every month', 'Every {count} months');
  return `${every} ${unit}`;
}

/** null where there are no short words for it. Quartz counts weekdays from 1 (Sunday), cron from 0. */
export function cronInWords(expression: string): string | null {
  const fields = expression.toUpperCase().split(/\s+/);
  const quartz = fields.length > 5;
  if (fields.length < 5 || fields.length > 7 || (fields.length === 7 && fields[6] !== '*')) return null;
  const [minute, hour, day, month, weekday] = quartz ? fields.slice(1, 6) : fields;
  if (month !== '*' || minute === undefined || hour === undefined || day === undefined || weekday === undefined) return null;
  const anyDay = day === '*' || day === '?';
  const anyWeekday = weekday === '*' || weekday === '?';
  if (anyDay && anyWeekday) {
    if (minute === '*' && hour === '*') return interval(1, 'minute');
    const minutes = /^(?:\*|0)\/(\d+)$/.exec(minute)?.[1];
    if (minutes && hour === '*') return interval(Number(minutes), 'minute');
    if (/^\d+$/.test(minute) && hour === '*') return t('Every hour at :{minute}', { minute: minute.padStart(2, '0') });
    const hours = /^(?:\*|0)\/(\d+)$/.exec(hour)?.[1];
    if (/^\d+$/.test(minute) && hours) return t('Every {hours} hours at :{minute}', { hours, minute: minute.padStart(2, '0') });
  }
  if (!/^\d+$/.test(minute) || !/^\d+(,\d+)*$/.test(hour)) return null;
  const times = hour.split(',').map((hourField) => `${hourField.padStart(2, '0')}:${minute.padStart(2, '0')}`);
  const timeList = list(times);
  if (anyDay && anyWeekday) return t('Daily at {times}', { times: timeList });
  if (!anyDay && !anyWeekday) return null;
  if (anyWeekday) {
    if (day === 'L') return t('The last day of each month at {times}', { times: timeList });
    return /^\d+$/.test(day) ? t('Day {day} of each month at {times}', { day, times: timeList }) : null;
  }
  const days = weekdays(weekday, quartz);
  return days ? t('{days} at {times}', { days, times: timeList }) : null;
}

function weekdays(field: string, quartz: boolean): string | null {
  const number = (name: string) => {
    if (NAMES.includes(name)) return NAMES.indexOf(name);
    if (!/^\d$/.test(name)) return -1;
    return quartz ? Number(name) - 1 : Number(name) % 7;
  };
  const range = /^(\w+)-(\w+)$/.exec(field);
  if (range) {
    const [first, last] = [number(range[1]!), number(range[2]!)];
    if (first < 0 || last < 0) return null;
    if (first === 1 && last === 5) return t('Weekdays');
    return t('{first} to {last}', { first: dayName(first), last: dayName(last) });
  }
  const days = field.split(',').map(number);
  if (days.some((day) => day < 0 || day > 6)) return null;
  return list(days.map(dayName));
}

function list(items: string[]): string {
  const [last = ''] = items.slice(-1);
  return items.length < 2 ? last : t('{items} and {last}', { items: items.slice(0, -1).join(', '), last });
}
