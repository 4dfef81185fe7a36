import { expect, test } from 'vitest';

import { deletionMode, deletionModes, withDeletionMode } from './missingRecords';
import { withMode, type StreamConfig } from './streams';
import type { StreamProperty } from '../api/schema.gen';

const config: StreamConfig = { name: 'tickets', syncMode: 'incremental_deduped_history' };
const stream = { streamName: 'tickets', syncModes: [], defaultCursorField: ['at'], sourceDefinedPrimaryKey: [['id']], propertyFields: [] } as unknown as StreamProperty;

test('a mode is set and taken back', () => {
  const hard = withDeletionMode(config, 'hard');
  expect(hard.detectDeletes).toBe('hard');
  expect(deletionMode(hard)).toBe('hard');
  expect(withDeletionMode(hard, 'off')).toEqual(config);
});

test('the other settings of a stream stay', () => {
  const weekly = { ...config, detectDeletes: { mode: 'hard', everyHours: 168 } };
  expect(deletionMode(weekly)).toBe('hard');
  expect(withDeletionMode(weekly, 'soft').detectDeletes).toEqual({ mode: 'soft', everyHours: 168 });
});

test('only sync modes that keep one record for each key and replace nothing have a choice', () => {
  expect(deletionModes('full_refresh_overwrite_deduped')).toEqual(['off']);
  expect(deletionModes('incremental_append')).toEqual(['off']);
  expect(deletionModes('incremental_soft_delete')).toEqual(['off', 'soft']);
  expect(deletionModes('incremental_deduped_history')).toEqual(['off', 'hard', 'soft']);
});

test('another sync mode takes a mode away that does not fit it', () => {
  const hard = withDeletionMode(config, 'hard');
  expect(withMode(stream, hard, 'full_refresh_update').detectDeletes).toBe('hard');
  expect(withMode(stream, hard, 'full_refresh_overwrite').detectDeletes).toBeUndefined();
  expect(withMode(stream, hard, 'incremental_soft_delete').detectDeletes).toBeUndefined();
});
