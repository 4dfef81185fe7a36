/** A log's entry as a line of text. */
import type { LogEntry } from '../api/schema.gen';

/** Fields that the page shows elsewhere. */
const HIDDEN_FIELDS = new Set(['at', 'at_ms', 'level', 'logger', 'message', 'attempt', 'place', 'job_id', 'connection_id', 'streams']);

export function logTime(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** “message name=value”. */
export function logText(entry: LogEntry): string {
  const fields = Object.entries(entry)
    .filter(([name, value]) => !HIDDEN_FIELDS.has(name) && value !== null && value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  return [entry.message, ...fields].join(' ');
}

/** “2026-11-25T10:00:00.000Z info message name=value”. */
export function line(entry: LogEntry): string {
  return `${new Date(entry.at_ms).toISOString()} ${entry.level} ${logText(entry)}`;
}
