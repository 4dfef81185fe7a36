/** What saving changed streams causes, in sentences: what is read, written, kept, and what a refresh would do. */
import { isIncremental, modeLabel, modeOf } from '../modes';
import { plural, t } from '../text';
import { mapperWords } from './mappers';
import { deletionMode } from './missingRecords';
import type { Choice, StreamConfig } from './streams';

export interface Consequence {
  stream: string;
  sentence: string;
  /** What is stored already stays as it was until the stream is refreshed. */
  refresh?: boolean;
}

const MAX_NAMES = 6;
const SAME = (left: unknown, right: unknown) => JSON.stringify(left ?? null) === JSON.stringify(right ?? null);

export function consequences(before: Choice, after: Choice, destination: string): Consequence[] {
  const entries: Consequence[] = [];
  for (const [stream, config] of after) {
    const old = before.get(stream);
    if (old) entries.push(...ofStream(stream, old, config, destination));
    else entries.push({ stream, sentence: t('Added: the next sync reads it from the beginning.') });
  }
  for (const stream of before.keys())
    if (!after.has(stream)) entries.push({ stream, sentence: t('Removed. Its data in {destination} stays.', { destination }) });
  return entries;
}

function ofStream(stream: string, old: StreamConfig, config: StreamConfig, destination: string): Consequence[] {
  const entries: Consequence[] = [];
  const replaced = modeOf(config.syncMode)?.writes.startsWith('overwrite') ?? false;
  const add = (sentence: string, refresh = false) => entries.push({ stream, sentence, ...(refresh && !replaced && { refresh }) });
  if (old.syncMode !== config.syncMode) {
    const [from, to] = [modeLabel(old.syncMode), modeLabel(config.syncMode)];
    if (replaced) add(t('Changes from {from} to {to}: the next sync replaces its data in {destination}.', { from, to, destination }));
    else if (!isIncremental(config.syncMode)) add(t('Changes from {from} to {to}: each sync reads everything again.', { from, to }));
    else if (isIncremental(old.syncMode)) add(t('Changes from {from} to {to}. Stored records stay unchanged.', { from, to }), true);
    else add(t('Changes from {from} to {to}: the next sync reads everything once, later ones what changed.', { from, to }));
  }
  if (isIncremental(old.syncMode) && isIncremental(config.syncMode) && !SAME(old.cursorField, config.cursorField))
    add(t('New cursor: the saved state belongs to the old cursor. A refresh reads everything with the new one.'), true);
  if (!SAME(old.primaryKey, config.primaryKey))
    add(t('New primary key: records that are stored under the old key are not recognized.'), true);
  const [fewer, more] = [names(old), names(config)];
  const added = more === null ? (fewer === null ? [] : null) : fewer === null ? [] : more.filter((name) => !fewer.includes(name));
  const removed = fewer === null ? (more === null ? [] : null) : more === null ? [] : fewer.filter((name) => !more.includes(name));
  if (added === null) add(rest(t('All fields are copied, new ones too.'), replaced), true);
  else if (added.length > 0)
    add(rest(plural(added.length, 'The field {names} is added.', 'The fields {names} are added.', { names: listed(added) }), replaced), true);
  if (removed === null) add(left(plural(more!.length, 'Only one field is copied.', 'Only {count} fields are copied.'), replaced), true);
  else if (removed.length > 0)
    add(left(plural(removed.length, 'The field {names} is left out.', 'The fields {names} are left out.', { names: listed(removed) }), replaced), true);
  if (!SAME(plainMappers(old), plainMappers(config))) {
    const words = (config.mappers ?? []).map(mapperWords);
    const sentence = words.length ? t('New mappers: {words}.', { words: listed(words) }) : t('No mappers.');
    add(left(sentence, replaced), true);
  }
  const [kept, missing] = [deletionMode(old), deletionMode(config)];
  if (kept !== missing && missing === 'off') add(t('Records that are missing in the source stay from now on.'));
  else if (kept !== missing)
    add(
      missing === 'hard'
        ? t('Records that are missing in the source are removed, also those that are missing already.')
        : t('Records that are missing in the source are marked as deleted, also those that are missing already.'),
    );
  return entries;
}

const rest = (sentence: string, replaced: boolean) =>
  `${sentence} ${replaced ? t('The next sync writes all records again.') : t('Stored records get them when they change, or with a refresh.')}`;

const left = (sentence: string, replaced: boolean) =>
  `${sentence} ${replaced ? t('The next sync writes all records again.') : t('Stored records keep their values until they change, or until a refresh.')}`;

/** The chosen fields; null where all are. */
const names = (config: StreamConfig) => config.selectedFields?.map((field) => field.fieldPath.join('.')) ?? null;

const plainMappers = (config: StreamConfig) => (config.mappers ?? []).map(({ type, mapperConfiguration }) => ({ type, mapperConfiguration }));

function listed(items: string[]): string {
  const more = items.length - MAX_NAMES;
  return items.slice(0, MAX_NAMES).join(', ') + (more > 0 ? ` ${t('and {count} more', { count: more })}` : '');
}

/** Whether anything differs. */
export function isChanged(before: Choice, after: Choice): boolean {
  return before.size !== after.size || [...after].some(([key, config]) => !SAME(sorted(before.get(key)), sorted(config)));
}

/** A configuration with its settings in one order, so that equal ones compare equal. */
function sorted(config: StreamConfig | undefined): unknown {
  return config && Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined).sort(([a], [b]) => a.localeCompare(b)));
}
