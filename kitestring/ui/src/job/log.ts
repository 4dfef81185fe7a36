/** A log's entry as a line of text. */
import type { LogEntry } from '../api/schema.gen';

/** What stands elsewhere on the page. */
const OURS = new Set(['at', 'at_ms', 'level', 'logger', 'message', 'attempt', 'job_id', 'connection_id', 'streams']);

export function logTime(ms: number): string {
  const at = new Date(ms);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

/** “message name=value”. */
export function words(entry: LogEntry): string {
  const more = Object.entries(entry)
    .filter(([name, value]) => !OURS.has(name) && value !== null && value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  return [entry.message, ...more].join(' ');
}

/** “2026-11-25T10:00:00.000Z info message name=value”. */
export function line(entry: LogEntry): string {
  return `${new Date(entry.at_ms).toISOString()} ${entry.level} ${words(entry)}`;
}
