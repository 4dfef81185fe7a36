/** A schedule in words. A complex expression stays an expression. */
import type { Schedule } from '../api/schema.gen';

const DAYS: Record<string, string> = {
  SUN: 'Sundays',
  MON: 'Mondays',
  TUE: 'Tuesdays',
  WED: 'Wednesdays',
  THU: 'Thursdays',
  FRI: 'Fridays',
  SAT: 'Saturdays',
};
const NAMES = Object.keys(DAYS);

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
    const unitName = unit.toLowerCase().replace(/s$/, '');
    return every === '1' ? `Every ${unitName}` : `Every ${every} ${unitName}s`;
  }
  if (timing.scheduleType === 'cron') {
    const { expression, zone } = splitCron(timing.cronExpression ?? '');
    const sentence = cronInWords(expression) ?? `Cron ${expression}`;
    return zone === 'UTC' ? `${sentence} UTC` : `${sentence}, ${zone.replaceAll('_', ' ')}`;
  }
  return 'Manual';
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
    if (minute === '*' && hour === '*') return 'Every minute';
    const minutes = /^(?:\*|0)\/(\d+)$/.exec(minute)?.[1];
    if (minutes && hour === '*') return minutes === '1' ? 'Every minute' : `Every ${minutes} minutes`;
    if (/^\d+$/.test(minute) && hour === '*') return `Every hour at :${minute.padStart(2, '0')}`;
    const hours = /^(?:\*|0)\/(\d+)$/.exec(hour)?.[1];
    if (/^\d+$/.test(minute) && hours) return `Every ${hours} hours at :${minute.padStart(2, '0')}`;
  }
  if (!/^\d+$/.test(minute) || !/^\d+(,\d+)*$/.test(hour)) return null;
  const times = hour.split(',').map((hourField) => `${hourField.padStart(2, '0')}:${minute.padStart(2, '0')}`);
  const timeList = list(times);
  if (anyDay && anyWeekday) return `Daily at ${timeList}`;
  if (!anyDay && !anyWeekday) return null;
  if (anyWeekday) {
    if (day === 'L') return `The last day of each month at ${timeList}`;
    return /^\d+$/.test(day) ? `Day ${day} of each month at ${timeList}` : null;
  }
  const days = weekdays(weekday, quartz);
  return days ? `${days} at ${timeList}` : null;
}

function weekdays(field: string, quartz: boolean): string | null {
  const number = (name: string) => {
    if (DAYS[name]) return NAMES.indexOf(name);
    if (!/^\d$/.test(name)) return -1;
    return quartz ? Number(name) - 1 : Number(name) % 7;
  };
  const range = /^(\w+)-(\w+)$/.exec(field);
  if (range) {
    const [first, last] = [number(range[1]!), number(range[2]!)];
    if (first < 0 || last < 0) return null;
    if (first === 1 && last === 5) return 'Weekdays';
    return `${DAYS[NAMES[first]!]} to ${DAYS[NAMES[last]!]}`;
  }
  const days = field.split(',').map(number);
  if (days.some((day) => day < 0 || day > 6)) return null;
  return list(days.map((day) => DAYS[NAMES[day]!]!));
}

function list(items: string[]): string {
  return items.length < 2 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
