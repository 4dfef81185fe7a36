import { expect, test } from 'vitest';

import type { Proposal } from './projects';
import { parse, spliced } from './document/document';
import { settingsOf, settingsOfProposal, timeFormat } from './uses';

const STREAM = ['streams', 0];
const having = (values: Record<string, unknown>) => (path: readonly (string | number)[]) => values[path.join('.')];

test('the records that were chosen become the path of the extractor that is there', () => {
  const get = having({ 'streams.0.retriever.record_selector.extractor': { type: 'DpathExtractor', field_path: [] } });
  expect(settingsOf({ kind: 'records', path: ['tickets'] }, STREAM, [], get)).toEqual([
    { path: ['streams', 0, 'retriever', 'record_selector', 'extractor', 'field_path'], value: ['tickets'] },
  ]);
});

test('an extractor of another type is replaced', () => {
  const get = having({ 'streams.0.retriever.record_selector.extractor': { type: 'CustomRecordExtractor' } });
  expect(settingsOf({ kind: 'records', path: ['data'] }, STREAM, [], get)[0]!.value).toEqual({ type: 'DpathExtractor', field_path: ['data'] });
});

test('a nested key is a list in the list of keys', () => {
  expect(settingsOf({ kind: 'key', path: ['id'] }, STREAM, 1, having({}))[0]!.value).toEqual(['id']);
  expect(settingsOf({ kind: 'key', path: ['meta', 'id'] }, STREAM, 1, having({}))[0]!.value).toEqual([['meta', 'id']]);
});

test('a cursor that is there keeps its settings, a new one filters here', () => {
  const get = having({ 'streams.0.incremental_sync': { type: 'DatetimeBasedCursor' } });
  expect(settingsOf({ kind: 'cursor', path: ['updated_at'] }, STREAM, '2026-01-01', get)).toEqual([{ path: ['streams', 0, 'incremental_sync', 'cursor_field'], value: 'updated_at' }]);
  expect(settingsOf({ kind: 'cursor', path: ['updated_at'] }, STREAM, '2026-01-01', having({}))[0]!.value).toMatchObject({ datetime_format: '%Y-%m-%d', is_client_side_incremental: true });
});

test('formats of times', () => {
  expect(timeFormat('2026-01-02T03:04:05Z').format).toBe('%Y-%m-%dT%H:%M:%SZ');
  expect(timeFormat('2026-01-02T03:04:05.123+01:00').format).toBe('%Y-%m-%dT%H:%M:%S.%f%z');
  expect(timeFormat('2026-01-02 03:04:05').format).toBe('%Y-%m-%d %H:%M:%S');
  expect(timeFormat(1760000000).format).toBe('%s');
  expect(timeFormat(1760000000000).format).toBe('%ms');
});

test('a proposal is set with the edits that belong to it, and a new stream goes to the end', () => {
  const place = ['streams', 0, 'retriever'];
  const pages: Proposal = {
    what: 'pagination',
    title: '',
    evidence: '',
    confidence: 'proven',
    warning: '',
    path: [...place, 'paginator'],
    value: { type: 'DefaultPaginator' },
    also: [
      { path: [...place, 'requester', 'request_parameters', 'page'], value: null },
      { path: ['spec', 'connection_specification', 'properties', 'start_date'], value: { type: 'string' } },
    ],
  };
  const stream: Proposal = { ...pages, what: 'stream', path: ['streams', 1], value: { name: 'authors' }, also: [] };
  let doc = parse('streams:\n  - name: books # mine\n    retriever:\n      requester:\n        request_parameters: {page: 1, size: 2}\nspec:\n  connection_specification:\n    properties: {}\n');
  for (const { path, value } of [pages, stream].flatMap(settingsOfProposal)) doc = parse(spliced(doc.text, doc.set(path, value)));
  expect(doc.get([])).toEqual({
    streams: [{ name: 'books', retriever: { requester: { request_parameters: { size: 2 } }, paginator: { type: 'DefaultPaginator' } } }, { name: 'authors' }],
    spec: { connection_specification: { properties: { start_date: { type: 'string' } } } },
  });
  expect(doc.text).toContain('# mine');
});
