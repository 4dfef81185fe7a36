import { expect, test } from 'vitest';

import type { AuditEntry } from '../api/schema.gen';
import { changesOf, NAME, sentenceOf } from './auditSentence';

const entry = (changes: Partial<AuditEntry>): AuditEntry => ({
  id: 1,
  at: '2026-11-29T12:00:00Z',
  actor: 'rosa@example.com',
  action: 'update',
  kind: 'connection',
  resourceId: '7',
  workspaceId: null,
  subject: 'Tickets',
  detail: '',
  linkKind: 'connection',
  linkId: '7',
  changes: {},
  ...changes,
});
const say = (changes: Partial<AuditEntry>) => sentenceOf(entry(changes)).replace(NAME, 'Tickets');

test.each<[Partial<AuditEntry>, string]>([
  [
    { changes: { schedule: [{ type: 'basic', every: 1, unit: 'days' }, { type: 'basic', every: 1, unit: 'hours' }], next_run_at_ms: [1, 2] } },
    'rosa@example.com changed the schedule of Tickets from every day to every hour',
  ],
  [{ changes: { status: ['active', 'inactive'], status_reason: ['', 'x'] } }, 'rosa@example.com paused the connection Tickets'],
  [{ changes: { name: ['Old', 'Tickets'] } }, 'rosa@example.com renamed the connection Old to Tickets'],
  [{ changes: { 'streams.0.name': ['a', 'b'], 'streams.1.name': ['b', null] } }, 'rosa@example.com changed the streams of the connection Tickets'],
  [{ kind: 'source', changes: { 'config.api_token': ['***', '***'] } }, 'rosa@example.com changed api token of the source Tickets'],
  [{ kind: 'source', changes: { 'config.host': ['a', 'b'] } }, 'rosa@example.com changed host of the source Tickets from a to b'],
  [{ kind: 'source', changes: { 'config.start_date': [null, '2024-01-01'] } }, 'rosa@example.com set start date of the source Tickets to 2024-01-01'],
  [
    { changes: { prefix: ['', 'a'], streams: [1, 2], schema_policy: ['ignore', 'x'], options: [1, 2], name: ['a', 'b'] } },
    'rosa@example.com changed the prefix, the streams, the answer to schema changes and 2 more of the connection Tickets',
  ],
  [
    { action: 'publish', kind: 'builder_project', changes: { version: [1, 2], note: [null, 'Better.'] } },
    'rosa@example.com published version 2 of Tickets',
  ],
  [{ kind: 'builder_project', changes: { draft: ['***', '***'] } }, 'rosa@example.com changed the draft of the builder project Tickets'],
  [
    { kind: 'source', changes: { connector_version: [1, 2] } },
    'rosa@example.com changed the version of the connector of the source Tickets from 1 to 2',
  ],
  [{ action: 'run', kind: 'job', detail: 'refresh' }, 'rosa@example.com started a refresh of Tickets'],
  [{ action: 'cancel', kind: 'job' }, 'rosa@example.com cancelled job 7 of Tickets'],
  [{ action: 'create', actor: 'anybody' }, 'A user without sign-in created the connection Tickets'],
  [{ action: 'create', kind: 'connection_tag', detail: 'urgent' }, 'rosa@example.com added the tag urgent to Tickets'],
  [{ action: 'create', kind: 'permission', detail: 'workspace_admin' }, 'rosa@example.com gave the role workspace_admin to Tickets'],
])('an entry is told as a sentence (%#)', (changes, sentence) => {
  expect(say(changes)).toBe(sentence);
});

test('a large change says what came and what went, not how many values differ', () => {
  const stream = (at: number, before: string | null, after: string | null): [string, [unknown, unknown]][] => [
    [`streams.${at}.name`, [before, after]],
    [`streams.${at}.syncMode`, ['full_refresh_append', 'incremental_append']],
  ];
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const shifted = Object.fromEntries(names.flatMap((name, at) => stream(at, name, names[at + 1] ?? null)));
  expect(changesOf(entry({ changes: shifted }))).toEqual(['the streams: a removed']);
  const created = Object.fromEntries(names.flatMap((name, at) => stream(at, null, name)));
  expect(changesOf(entry({ action: 'create', changes: created }))).toEqual(['the streams: a, b, c, d, e and 3 more added']);
  const modes = Object.fromEntries(names.map((_, at) => [`streams.${at}.syncMode`, ['a', 'b']]));
  expect(changesOf(entry({ changes: { ...modes, prefix: ['', 'x'], next_run_at_ms: [1, 2] } }))).toEqual(['the streams: syncMode changed', 'the prefix: – → x']);
  expect(changesOf(entry({ changes: { draft: ['****', '*****'] } }))).toEqual(['the draft: changed; the values are hidden']);
});
