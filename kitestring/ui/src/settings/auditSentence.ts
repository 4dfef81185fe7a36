/** An entry of the audit log as a sentence: “rosa@example.com changed the schedule of Tickets from daily to hourly”. */
import type { AuditEntry } from '../api/schema.gen';
import { inWords } from '../connections/schedule';
import { actorName } from '../session/anonymous';
import { t } from '../text';

/** Stands for the name in a sentence, so that the page can put a link there. */
export const NAME = '\u0001';

/** What nobody sets by hand, and what follows from something else. */
const SILENT = new Set(['id', 'workspace_id', 'next_run_at_ms', 'failures', 'status_reason', 'catalog', 'pending_changes', 'origin', 'created_by', 'trusted', 'definition_id']);
const MOST_FIELDS = 3;

type Changes = AuditEntry['changes'];

/** The sentence, with NAME where the name of the resource belongs. */
export function sentenceOf(entry: AuditEntry): string {
  const words = { actor: actorName(entry.actor), name: NAME, detail: entry.detail, noun: nounOf(entry.kind) };
  const { action, kind } = entry;
  if (action === 'login') return t('{actor} signed in', words);
  if (kind === 'job') {
    const job = { ...words, kind: entry.detail || t('sync'), id: entry.resourceId };
    return action === 'run' ? t('{actor} started a {kind} of {name}', job) : t('{actor} cancelled job {id} of {name}', job);
  }
  if (kind === 'connection_tag') {
    const tag = { ...words, detail: entry.detail || t('that was deleted') };
    return action === 'create' ? t('{actor} added the tag {detail} to {name}', tag) : t('{actor} removed the tag {detail} from {name}', tag);
  }
  if (kind === 'state') {
    if (!entry.detail) return t('{actor} changed the state of a stream of {name}', words);
    return action === 'delete' ? t('{actor} reset the state of {detail} in {name}', words) : t('{actor} set the state of {detail} in {name}', words);
  }
  if (kind === 'permission') {
    return action === 'delete' ? t('{actor} removed the role {detail} from {name}', words) : t('{actor} gave the role {detail} to {name}', words);
  }
  if (kind === 'setting') return t('{actor} changed the setting {id} of the server', { ...words, id: entry.resourceId });
  if (kind === 'schema_change') return t('{actor} decided about schema changes of {name}', words);
  if (action === 'publish') return t('{actor} published version {version} of {name}', { ...words, version: valueOf(entry.changes.version?.[1]) });
  if (action === 'create') return t('{actor} created the {noun} {name}', words);
  if (action === 'delete') return t('{actor} deleted the {noun} {name}', words);
  return updateSentence(entry, words);
}

function updateSentence(entry: AuditEntry, words: Record<string, string>): string {
  const fields = fieldsOf(entry.changes);
  const change = (path: string) => entry.changes[path] ?? [null, null];
  const only = fields.length === 1 ? fields[0] : undefined;
  if (only === 'name') return t('{actor} renamed the {noun} {before} to {name}', { ...words, before: valueOf(change('name')[0]) });
  if (only === 'status') {
    return change('status')[1] === 'active' ? t('{actor} resumed the {noun} {name}', words) : t('{actor} paused the {noun} {name}', words);
  }
  if (only === 'schedule') {
    const [before, after] = change('schedule').map(scheduleOf);
    if (before && after) return t('{actor} changed the schedule of {name} from {before} to {after}', { ...words, before: lower(before), after: lower(after) });
  }
  if (only === undefined) {
    const named = fields.slice(0, MOST_FIELDS).map(labelOf).join(', ');
    const more = fields.length - MOST_FIELDS;
    if (fields.length === 0) return t('{actor} changed the {noun} {name}', words);
    return more > 0
      ? t('{actor} changed {fields} and {more} more of the {noun} {name}', { ...words, fields: named, more })
      : t('{actor} changed {fields} of the {noun} {name}', { ...words, fields: named });
  }
  const [before, after] = change(only).map(valueOf);
  const short = { ...words, fields: labelOf(only), before: before ?? '', after: after ?? '' };
  if (!entry.changes[only] || isSecret(entry.changes[only]) || short.before.length + short.after.length > 80) {
    return t('{actor} changed {fields} of the {noun} {name}', short);
  }
  if (before === '–') return t('{actor} set {fields} of the {noun} {name} to {after}', short);
  return t('{actor} changed {fields} of the {noun} {name} from {before} to {after}', short);
}

/** The fields that a user would name: a list counts once, and what follows from a change is left out. */
export function fieldsOf(changes: Changes): string[] {
  const fields = new Set<string>();
  for (const path of Object.keys(changes)) {
    const field = fieldOf(path);
    if (field !== undefined) fields.add(field);
  }
  return [...fields];
}

function fieldOf(path: string): string | undefined {
  const [first = ''] = path.split('.');
  if (SILENT.has(first)) return undefined;
  return first === 'config' ? path.replace(/\.\d+(\..*)?$/, '') : first;
}

const MOST_NAMES = 5;

/** What a change was, a line for each field that a user would name; the values of all its parts may be thousands. */
export function changesOf(entry: AuditEntry): string[] {
  const groups = new Map<string, string[]>();
  for (const path of Object.keys(entry.changes)) {
    const field = fieldOf(path);
    if (field !== undefined) groups.set(field, [...(groups.get(field) ?? []), path]);
  }
  return [...groups].map(([field, paths]) => `${labelOf(field)}: ${groupChange(entry, field, paths)}`);
}

function groupChange(entry: AuditEntry, field: string, paths: string[]): string {
  const isNew = entry.action === 'create' || entry.action === 'run';
  if (paths.length === 1) {
    if (isSecret(entry.changes[paths[0]!]!)) return isNew ? t('set; the value is hidden') : t('changed; the values are hidden');
    const [before, after] = entry.changes[paths[0]!]!.map((value) => clip(valueOf(value)));
    return isNew ? after! : `${before} → ${after}`;
  }
  // A list whose first item goes changes at every place: what came and what went says more.
  const names = paths.filter((path) => path.startsWith(`${field}.`) && /^\d+\.name$/.test(path.slice(field.length + 1)));
  const [former, current] = [0, 1].map((side) => new Set(names.map((path) => entry.changes[path]![side]).filter((name) => typeof name === 'string'))) as [Set<string>, Set<string>];
  const added = [...current].filter((name) => !former.has(name));
  const removed = [...former].filter((name) => !current.has(name));
  const parts = [...new Set(paths.map((path) => path.split('.').filter((word) => !/^\d+$/.test(word)).at(-1)!))].filter((word) => word !== field);
  const lines = [
    added.length > 0 ? t('{names} added', { names: few(added) }) : '',
    removed.length > 0 ? t('{names} removed', { names: few(removed) }) : '',
    added.length + removed.length === 0 ? t('{names} changed', { names: few(parts.length > 0 ? parts.map((part) => part.replaceAll('_', ' ')) : [field]) }) : '',
  ];
  return lines.filter(Boolean).join('; ');
}

/** “a, b, c, d, e and 7 more” */
function few(names: readonly string[]): string {
  const first = names.slice(0, MOST_NAMES).join(', ');
  return names.length > MOST_NAMES ? t('{names} and {count} more', { names: first, count: names.length - MOST_NAMES }) : first;
}

const LONGEST = 120;
const clip = (text: string) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

const LABELS: Record<string, () => string> = {
  config: () => t('the configuration'),
  name: () => t('the name'),
  status: () => t('the status'),
  schedule: () => t('the schedule'),
  streams: () => t('the streams'),
  notifications: () => t('the notifications'),
  options: () => t('the options'),
  prefix: () => t('the prefix'),
  schema_policy: () => t('the answer to schema changes'),
  namespace_definition: () => t('the namespace'),
  namespace_format: () => t('the namespace'),
  password_hash: () => t('the password'),
  manifest: () => t('the manifest'),
  draft: () => t('the draft'),
  connector_version: () => t('the version of the connector'),
};

function labelOf(path: string): string {
  return LABELS[path]?.() ?? path.replace(/^config\./, '').replaceAll('_', ' ');
}

const NOUNS: Record<string, () => string> = {
  organization: () => t('organization'),
  workspace: () => t('workspace'),
  user: () => t('user'),
  application: () => t('application'),
  definition: () => t('connector'),
  builder_project: () => t('builder project'),
  source: () => t('source'),
  destination: () => t('destination'),
  connection: () => t('connection'),
  tag: () => t('tag'),
  oauth_credentials: () => t('OAuth client'),
};

export function nounOf(kind: string): string {
  return NOUNS[kind]?.() ?? kind.replaceAll('_', ' ');
}

function isSecret(change: unknown[]): boolean {
  return change.some((value) => typeof value === 'string' && /^\*+$/.test(value));
}

export function valueOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A schedule of the store, or its text in the log, in words. */
function scheduleOf(value: unknown): string | undefined {
  const schedule = value as { type?: string; every?: number; unit?: string; expression?: string; time_zone?: string } | null;
  if (schedule?.type === 'continuous') return t('Continuous');
  if (schedule?.type === 'manual') return inWords({ scheduleType: 'manual' });
  if (schedule?.type === 'basic') return inWords({ scheduleType: 'basic', basicTiming: `Every ${schedule.every} ${schedule.unit}` });
  if (schedule?.type === 'cron') return inWords({ scheduleType: 'cron', cronExpression: `${schedule.expression} ${schedule.time_zone ?? 'UTC'}` });
  return undefined;
}

/** Words within a sentence: “every 6 hours”, while a cron expression keeps its capitals. */
function lower(words: string): string {
  return /^(Every|Daily|Manual)\b/.test(words) ? words.charAt(0).toLowerCase() + words.slice(1) : words;
}
