/** What a vector store embeds, and whether it could embed anything of a stream, as it is chosen. */
import { queryOptions } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { SuggestedFields } from '../api/schema.gen';
import type { Values } from '../form/schema';
import type { Suggestions } from '../form/suggestions';
import { textOf, valueAt } from './fields';
import { fieldsAfter } from './mappers';
import type { StreamConfig } from './streams';

/** The text fields that a destination embeds; undefined for one that embeds nothing. An empty list means all. */
export function textFieldsOf(configuration: unknown): string[] | undefined {
  const processing = valueAt(configuration, ['processing']);
  return processing && typeof processing === 'object' ? namesIn(processing, 'text_fields') : undefined;
}

/** The fields that a destination keeps beside each chunk. An empty list means all. */
export const metadataFieldsOf = (configuration: unknown): string[] => namesIn(valueAt(configuration, ['processing']), 'metadata_fields');

function namesIn(processing: unknown, name: string): string[] {
  const names = valueAt(processing, [name]);
  return Array.isArray(names) ? names.map(String) : [];
}

/** A destination's configuration with other settings of its processing. */
export function withProcessing(configuration: Values, settings: Values): Values {
  return { ...configuration, processing: { ...(configuration.processing as Values | undefined), ...settings } };
}

export const suggestedFieldsQuery = (sourceId: string) =>
  queryOptions({
    queryKey: ['offered', sourceId, 'suggested'],
    queryFn: ({ signal }) => api.get<SuggestedFields>(`${OWN}/sources/${sourceId}/suggested-fields`, undefined, signal),
    staleTime: 120_000,
    retry: false,
  });

/** Suggestions for the form of a vector store: what to embed and what to keep beside it. */
export function suggestionsOf(fields: SuggestedFields | undefined): Suggestions {
  if (!fields) return {};
  return {
    'processing.text_fields': { data: fields.fields, value: fields.text },
    'processing.metadata_fields': { data: fields.fields, value: fields.metadata },
  };
}

/** The embedded fields that a stream has, and those of them that are chosen. Both by the names of the source. */
export function embeddedFields(textFields: string[], fields: string[][], chosen: StreamConfig): { offered: string[]; kept: string[] } {
  const tops = [...new Set(fields.map((path) => path[0]!))];
  const mappers = chosen.mappers ?? [];
  // A mapper may leave a field out (its name is then gone) or give it another name.
  const written = new Map(tops.flatMap((top) => fieldsAfter([top], mappers).map((name) => [name, top])));
  const offered: string[] = [];
  const kept: string[] = [];
  for (const field of textFields) {
    const [first, ...rest] = field.split('.') as [string, ...string[]];
    const wild = first.includes('*');
    const original = written.get(first);
    if (!wild && original === undefined && !tops.includes(first)) continue;
    const path = [original ?? first, ...rest];
    offered.push(textOf(path));
    if (wild || (original !== undefined && isTaken(chosen, path))) kept.push(textOf(path));
  }
  return { offered, kept };
}

/** Whether a path is copied, at least in part. Items of lists (`*`) are copied with their list. */
function isTaken(chosen: StreamConfig, path: string[]): boolean {
  const names = path.slice(0, path.includes('*') ? path.indexOf('*') : undefined);
  return !chosen.selectedFields || chosen.selectedFields.some(({ fieldPath }) => fieldPath.every((name, n) => n >= names.length || name === names[n]));
}

/** What is wrong with a chosen stream for a destination with these text fields; empty if nothing. */
export function embeddedProblem(textFields: string[] | undefined, fields: string[][], chosen: StreamConfig): 'absent' | 'left out' | '' {
  if (!textFields?.length || fields.length === 0) return '';
  const { offered, kept } = embeddedFields(textFields, fields, chosen);
  return kept.length > 0 ? '' : offered.length > 0 ? 'left out' : 'absent';
}
