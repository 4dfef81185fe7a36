/** The streams of a connection that is created or changed: those of the source, and the chosen ones. */
import { queryOptions } from '@tanstack/react-query';

import { api, OWN, PUBLIC } from '../api/client';
import type { FieldsRead, StreamProperties, StreamProperty } from '../api/schema.gen';
import { isIncremental, needsKey } from '../modes';
import { t } from '../text';
import { deletionMode, deletionModes } from './missingRecords';
import type { Mapper } from './mappers';

/** The configuration of a stream in a connection. Without `selectedFields` all fields are copied. */
export interface StreamConfig {
  name: string;
  namespace?: string;
  syncMode: string;
  cursorField?: string[];
  primaryKey?: string[][];
  selectedFields?: { fieldPath: string[] }[];
  mappers?: Mapper[];
  detectDeletes?: unknown;
  [key: string]: unknown;
}

/** The chosen streams by key. */
export type Choice = Map<string, StreamConfig>;

export function keyOf(stream: { name: string; namespace?: string | null }): string {
  return stream.namespace ? `${stream.namespace}.${stream.name}` : stream.name;
}

export const offeredKey = (stream: StreamProperty) => keyOf({ name: stream.streamName, namespace: stream.streamnamespace });

/** The default configuration of a stream: incremental and deduplicated where possible. */
export function defaultConfig(stream: StreamProperty): StreamConfig {
  const cursor = stream.sourceDefinedCursorField || stream.defaultCursorField.length > 0;
  const keyed = stream.sourceDefinedPrimaryKey.length > 0;
  const can = (mode: string) => stream.syncModes.includes(mode);
  const syncMode =
    cursor && keyed && can('incremental_deduped_history')
      ? 'incremental_deduped_history'
      : cursor && can('incremental_append')
        ? 'incremental_append'
        : can('full_refresh_overwrite')
          ? 'full_refresh_overwrite'
          : (stream.syncModes.find((mode) => !needsKey(mode) || keyed) ?? stream.syncModes[0] ?? 'full_refresh_append');
  return withMode(stream, { name: stream.streamName, ...(stream.streamnamespace && { namespace: stream.streamnamespace }), syncMode }, syncMode);
}

/** Change the sync mode, and fill in the required cursor and key if the source defines them. */
export function withMode(stream: StreamProperty, chosen: StreamConfig, syncMode: string): StreamConfig {
  const config: StreamConfig = { ...chosen, syncMode };
  if (isIncremental(syncMode) && !config.cursorField?.length && stream.defaultCursorField.length) config.cursorField = stream.defaultCursorField;
  if (!isIncremental(syncMode)) delete config.cursorField;
  if (!config.primaryKey?.length && stream.sourceDefinedPrimaryKey.length) config.primaryKey = stream.sourceDefinedPrimaryKey;
  if (!deletionModes(syncMode).includes(deletionMode(config))) delete config.detectDeletes;
  return config;
}

/** The setting that a chosen stream still lacks; empty if none. */
export function missingSetting(stream: StreamProperty, chosen: StreamConfig): string {
  if (isIncremental(chosen.syncMode) && !stream.sourceDefinedCursorField && !chosen.cursorField?.length) return t('Choose its cursor.');
  if (needsKey(chosen.syncMode) && !chosen.primaryKey?.length) return t('Choose its primary key.');
  return '';
}

/** The fields that a stream cannot go without: those of its key and its cursor, by their first name. */
export function requiredFields(chosen: StreamConfig): Set<string> {
  return new Set([
    ...(chosen.primaryKey ?? []).map((path) => path[0]!),
    ...(isIncremental(chosen.syncMode) && chosen.cursorField?.length ? [chosen.cursorField[0]!] : []),
  ]);
}

/** A stored stream as it is edited. The API returns every list, and an empty list means the source's default. */
export function withoutEmptyLists(stream: object): StreamConfig {
  const settings = Object.entries(stream).filter(
    ([name, value]) => (Array.isArray(value) ? value.length > 0 : value !== '' && value !== null) && !(name === 'detectDeletes' && value === 'off'),
  );
  return Object.fromEntries(settings) as StreamConfig;
}

/** A stream that is in a connection and not, or not yet, among those of the source: it can stay as it is. */
export function offeredOf(stream: StreamConfig): StreamProperty {
  return {
    streamName: stream.name,
    streamnamespace: stream.namespace ?? null,
    syncModes: [stream.syncMode],
    defaultCursorField: stream.cursorField ?? [],
    sourceDefinedCursorField: true,
    sourceDefinedPrimaryKey: stream.primaryKey ?? [],
    propertyFields: [],
  } as StreamProperty;
}

export const offeredQuery = (sourceId: string, destinationId: string, fresh: boolean) =>
  queryOptions({
    queryKey: ['offered', sourceId, destinationId, fresh],
    queryFn: ({ signal }) =>
      api.get<StreamProperties>(`${PUBLIC}/streams`, { sourceId, destinationId, ignoreCache: fresh }, signal),
    staleTime: 120_000,
    retry: false,
  });

export const fieldsQuery = (sourceId: string, stream: string) =>
  queryOptions({
    queryKey: ['offered', sourceId, 'fields', stream],
    queryFn: async ({ signal }) => (await api.get<FieldsRead>(`${OWN}/sources/${sourceId}/fields`, { stream }, signal)).data,
    staleTime: 120_000,
    retry: false,
  });
