/** The streams of a connection that is created or changed: those of the source, and the chosen ones. */
import { queryOptions } from '@tanstack/react-query';

import { api, PUBLIC } from '../api/client';
import type { StreamProperties, StreamProperty } from '../api/schema.gen';
import { isIncremental, needsKey } from '../modes';


/** The configuration of a stream in a connection. Without `selectedFields` all fields are copied. */
export interface StreamConfig {
  name: string;
  namespace?: string;
  syncMode: string;
  cursorField?: string[];
  primaryKey?: string[][];
  selectedFields?: { fieldPath: string[] }[];
  [key: string]: unknown;
}

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
  return config;
}

/** The setting that a chosen stream still lacks; empty if none. */
export function missingSetting(stream: StreamProperty, chosen: StreamConfig): string {
  if (isIncremental(chosen.syncMode) && !stream.sourceDefinedCursorField && !chosen.cursorField?.length) return 'Choose its cursor.';
  if (needsKey(chosen.syncMode) && !chosen.primaryKey?.length) return 'Choose its primary key.';
  return '';
}

export const offeredQuery = (sourceId: string, destinationId: string, fresh: boolean) =>
  queryOptions({
    queryKey: ['offered', sourceId, destinationId, fresh],
    queryFn: ({ signal }) =>
      api.get<StreamProperties>(`${PUBLIC}/streams`, { sourceId, destinationId, ignoreCache: fresh }, signal),
    staleTime: 120_000,
    retry: false,
  });
