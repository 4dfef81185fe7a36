/** The streams of a connection that is being made or changed: what the source offers, and what is chosen of it. */
import { queryOptions } from '@tanstack/react-query';

import { api, PUBLIC } from '../api/client';

/** A stream that a source offers, with the sync modes that fit it and the destination. */
export interface Offered {
  streamName: string;
  streamnamespace: string | null;
  syncModes: string[];
  defaultCursorField: string[];
  sourceDefinedCursorField: boolean;
  sourceDefinedPrimaryKey: string[][];
  propertyFields: string[][];
}

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

export const MODES: Record<string, { label: string; note: string }> = {
  incremental_deduped_history: { label: 'Incremental, deduplicated', note: 'Reads what is new; keeps one record for each key.' },
  incremental_append: { label: 'Incremental, appended', note: 'Reads what is new; keeps every version.' },
  incremental_update: { label: 'Incremental, updated', note: 'Reads what is new; changes the record in its place.' },
  incremental_soft_delete: { label: 'Incremental, soft deletes', note: 'Reads what is new; marks what was deleted.' },
  full_refresh_overwrite: { label: 'Full refresh, replaced', note: 'Reads all; replaces what was there once it is whole.' },
  full_refresh_overwrite_deduped: { label: 'Full refresh, replaced without doubles', note: 'Reads all; one record for each key.' },
  full_refresh_append: { label: 'Full refresh, appended', note: 'Reads all; adds it to what is there.' },
  full_refresh_update: { label: 'Full refresh, updated', note: 'Reads all; changes records in their place.' },
  full_refresh_soft_delete: { label: 'Full refresh, soft deletes', note: 'Reads all; marks what is gone.' },
};

export const modeLabel = (mode: string) => MODES[mode]?.label ?? mode.replaceAll('_', ' ');

export function keyOf(one: { name: string; namespace?: string | null }): string {
  return one.namespace ? `${one.namespace}.${one.name}` : one.name;
}

export const offeredKey = (one: Offered) => keyOf({ name: one.streamName, namespace: one.streamnamespace });

export const needsKey = (mode: string) => mode.includes('deduped') || mode.includes('update') || mode.includes('soft_delete');

export const isIncremental = (mode: string) => mode.startsWith('incremental');

/** What a stream is moved like unless one says otherwise: by increments and without doubles where it can. */
export function byDefault(one: Offered): Chosen {
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
export function withMode(one: Offered, chosen: Chosen, syncMode: string): Chosen {
  const made: Chosen = { ...chosen, syncMode };
  if (isIncremental(syncMode) && !made.cursorField?.length && one.defaultCursorField.length) made.cursorField = one.defaultCursorField;
  if (!isIncremental(syncMode)) delete made.cursorField;
  if (!made.primaryKey?.length && one.sourceDefinedPrimaryKey.length) made.primaryKey = one.sourceDefinedPrimaryKey;
  return made;
}

/** What a chosen stream still lacks; empty where nothing. */
export function lacks(one: Offered, chosen: Chosen): string {
  if (isIncremental(chosen.syncMode) && !one.sourceDefinedCursorField && !chosen.cursorField?.length) return 'Choose its cursor.';
  if (needsKey(chosen.syncMode) && !chosen.primaryKey?.length) return 'Choose its primary key.';
  return '';
}

export const offeredQuery = (sourceId: string, destinationId: string, fresh: boolean) =>
  queryOptions({
    queryKey: ['offered', sourceId, destinationId, fresh],
    queryFn: ({ signal }) =>
      api.get<Offered[]>(`${PUBLIC}/streams`, { sourceId, destinationId, ignoreCache: fresh }, signal),
    staleTime: 120_000,
    retry: false,
  });
