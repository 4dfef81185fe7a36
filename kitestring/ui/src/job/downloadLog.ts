/** Save the whole log of an attempt, all levels, as a text file. */
import { api } from '../api/client';
import type { LogPage } from '../api/schema.gen';
import { notifyError } from '../shell/notify';
import { line } from './log';
import { logPath } from './useLog';

export async function downloadLog(jobId: number, attempt: number): Promise<void> {
  try {
    const parts: string[] = [];
    for (let place = 0, more = true; more; ) {
      const part: LogPage = await api.get(logPath(jobId, attempt), { place, limit: 10_000, level: 'debug' });
      parts.push(...part.entries.map((entry) => `${line(entry)}\n`));
      more = part.more && part.place > place;
      place = part.place;
    }
    const anchor = document.createElement('a');
    anchor.href = URL.createObjectURL(new Blob(parts, { type: 'text/plain' }));
    anchor.download = `job-${jobId}-attempt-${attempt}.log`;
    anchor.click();
    URL.revokeObjectURL(anchor.href);
  } catch (error) {
    notifyError(error);
  }
}
