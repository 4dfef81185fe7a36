/** The streams of a connection that is being made or changed: what the source offers, and what is chosen of it. */
import { queryOptions } from '@tanstack/react-query';

import { api, PUBLIC } from '../api/client';
import type { StreamProperties, StreamProperty } from '../api/schema.gen';
import { isIncremental, needsKey } from '../modes';


/** A stream as the connection has it. Without `selectedFields` all fields are moved. */
export interface Chosen {
  name: string;
  namespace?: string;
  syncMode: string;
  cursorField?: string[];
  primaryKey?: string[][];
  selectedFields?: { fieldPath: string[] }[];
  [kept: string]: unknown;
}

export function keyOf(one: { name: string; namespace?: string | null }): string {
  return one.namespace ? `${one.namespace}.${one.name}` : one.name;
}

export const offeredKey = (one: StreamProperty) => keyOf({ name: one.streamName, namespace: one.streamnamespace });

/** What a stream is moved like unless one says otherwise: by increments and without doubles where it can. */
export function byDefault(one: StreamProperty): Chosen {
  const cursor = one.sourceDefinedCursorField || one.defaultCursorField.length > 0;
  const keyed = one.sourceDefinedPrimaryKey.length > 0;
  const can = (mode: string) => one.syncModes.includes(mode);
  const syncMode =
    cursor && keyed && can('incremental_deduped_history')
      ? 'incremental_deduped_history'
      : cursor && can('incremental_append')
        ? 'incremental_append'
        : can('full_refresh_overwrite')
          ? 'full_refresh_overwrite'
          : (one.syncModes.find((mode) => !needsKey(mode) || keyed) ?? one.syncModes[0] ?? 'full_refresh_append');
  return withMode(one, { name: one.streamName, ...(one.streamnamespace && { namespace: one.streamnamespace }), syncMode }, syncMode);
}

/** The stream with another mode, and the cursor and key that it needs as far as the source names them. */
export function withMode(one: StreamProperty, chosen: Chosen, syncMode: string): Chosen {
  const made: Chosen = { ...chosen, syncMode };
  if (isIncremental(syncMode) && !made.cursorField?.length && one.defaultCursorField.length) made.cursorField = one.defaultCursorField;
  if (!isIncremental(syncMode)) delete made.cursorField;
  if (!made.primaryKey?.length && one.sourceDefinedPrimaryKey.length) made.primaryKey = one.sourceDefinedPrimaryKey;
  return made;
}

/** What a chosen stream still lacks; empty where nothing. */
export function lacks(one: StreamProperty, chosen: Chosen): string {
  if (isIncremental(chosen.syncMode) && !one.sourceDefinedCursorField && !chosen.cursorField?.length) return 'Choose its cursor.';
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
