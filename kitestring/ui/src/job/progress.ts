/** How far a sync is, in words: of a whole job, or of one of its streams. */
import type { ProgressSummary, StreamResult } from '../api/schema.gen';
import { count, duration, money, short } from '../shell/format';
import { plural, t } from '../text';

/** What a job's summary and a stream have in common. */
export type Measured = Pick<ProgressSummary, 'finished' | 'to_finish' | 'figures'> & {
  phase?: string | null;
  done?: number;
  total?: number | null;
  estimated?: boolean;
  waiting?: { seconds: number; reason: string } | null;
};

/** The share that is done, from 0 to 1; null where a stream cannot say its total. */
export function share(progress: Partial<Measured>): number | null {
  if (progress.phase === 'finishing' && progress.to_finish) return Math.min(1, (progress.finished ?? 0) / progress.to_finish);
  if (!progress.total) return null;
  return Math.min(1, (progress.done ?? 0) / progress.total);
}

/** “Embedding 210 of 470 chunks”, “Waiting 12 s: the limit of 10 calls per 60 s is reached”. */
export function phaseText(progress: Partial<Measured>): string {
  const { figures, finished, to_finish, waiting } = progress;
  switch (progress.phase) {
    case 'waiting':
      if (!waiting) return t('Waiting');
      return waiting.seconds > 0
        ? t('Waiting {time}: {reason}', { time: duration(waiting.seconds * 1000), reason: waiting.reason })
        : t('Trying again: {reason}', { reason: waiting.reason });
    case 'reading':
      return t('Reading');
    case 'chunking':
      return t('Chunking');
    case 'embedding':
      return t('Embedding {done} of {total} chunks', {
        done: figures?.chunks_embedded ?? 0,
        total: figures?.chunks_to_embed ?? 0,
      });
    case 'writing':
      return t('Writing');
    case 'finishing':
      return to_finish ? t('Finishing {done} of {total} chunks', { done: finished ?? 0, total: to_finish }) : t('Finishing');
    default:
      return t('Starting');
  }
}

/** “Following, 2 s behind” of a continuous job that waits for changes. */
export function followingText(progress: ProgressSummary): string {
  return progress.lag_s === null || progress.lag_s === undefined
    ? t('Following')
    : t('Following, the last change after {time}', { time: duration(progress.lag_s * 1000) });
}

/** “120 of 470 records”, “120 records read”. */
export function recordsText(progress: { done?: number; total?: number | null; estimated?: boolean; read: number }): string {
  return progress.total
    ? ofTotal(progress.done ?? 0, progress.total, progress.estimated)
    : plural(progress.read, '{count} record read', '{count} records read');
}

function ofTotal(done: number, total: number, estimated?: boolean): string {
  return estimated ? t('{done} of about {total} records', { done, total }) : t('{done} of {total} records', { done, total });
}

/** “about 3 min left”; empty where it cannot be told. */
export function leftText(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '';
  if (seconds < 5) return t('a few seconds left');
  const whole = seconds < 60 ? Math.ceil(seconds / 5) * 5 : seconds < 600 ? Math.ceil(seconds / 10) * 10 : Math.ceil(seconds / 60) * 60;
  return t('about {time} left', { time: duration(whole * 1000) });
}

/** The facts of a running job in the order of their worth: records, streams, time left, rate, tokens, cost. */
export function factsOf(progress: ProgressSummary): string[] {
  const { figures } = progress;
  return [
    recordsText(progress),
    progress.streams > 1 ? t('{done} of {total} streams done', { done: progress.streams_ended, total: progress.streams }) : '',
    leftText(progress.left_s),
    progress.records_per_s > 0 ? t('{rate} records/s', { rate: short(progress.records_per_s) }) : '',
    figures.tokens ? t('{tokens} tokens', { tokens: short(figures.tokens) }) : '',
    figures.cost_usd ? t('{cost} so far', { cost: money(figures.cost_usd) }) : '',
  ].filter(Boolean);
}

/** A stream's progress in a line: its phase, then what is known of the rest. */
export function streamText(stream: StreamResult): string {
  const parts = [phaseText(stream)];
  if (stream.total && stream.phase !== 'embedding') parts.push(ofTotal(stream.done ?? 0, stream.total, stream.estimated));
  if (stream.left_s !== undefined) parts.push(leftText(stream.left_s));
  return parts.join(' · ');
}

export const percent = (value: number) => `${count(Math.floor(value * 100))} %`;
