/** What a value that was chosen in a real answer changes in the manifest. */
import { t } from '../text';
import type { Proposal } from './projects';
import type { JsonPath, Use } from './reading/JsonTree';
import { type Pick, picksAt } from './reading/picks';

export type Path = readonly (string | number)[];

/** A value to set at a path of the manifest. */
export interface Setting {
  path: Path;
  value: unknown;
}

/** All edits of a proposal, in their order. */
export function settingsOfProposal({ path, value, also }: Proposal): Setting[] {
  return [{ path, value }, ...also.map((edit) => ({ path: edit.path, value: edit.value === null ? undefined : edit.value }))];
}

/** The settings of a pick for a stream. `get` reads the manifest. */
export function settingsOf(pick: Pick, stream: Path, value: unknown, get: (path: Path) => unknown): Setting[] {
  if (pick.kind === 'records') {
    const extractor = [...stream, 'retriever', 'record_selector', 'extractor'];
    const type = (get(extractor) as { type?: string } | undefined)?.type;
    if (type === undefined || type === 'DpathExtractor') {
      if (get(extractor) !== undefined) return [{ path: [...extractor, 'field_path'], value: pick.path }];
    }
    return [{ path: extractor, value: { type: 'DpathExtractor', field_path: pick.path } }];
  }
  if (pick.kind === 'key') return [{ path: [...stream, 'primary_key'], value: pick.path.length === 1 ? pick.path : [pick.path] }];
  const cursor = [...stream, 'incremental_sync'];
  if (get(cursor) !== undefined && get(cursor) !== null) return [{ path: [...cursor, 'cursor_field'], value: pick.path[0] }];
  const { format, start } = timeFormat(value);
  // Without a parameter of the API, what is old is left out here: true for any API.
  return [{ path: cursor, value: { type: 'DatetimeBasedCursor', cursor_field: pick.path[0], datetime_format: format, start_datetime: start, is_client_side_incremental: true } }];
}

/** What the page offers for a value of an answer. */
export function usesOf(answer: unknown, path: JsonPath, run: (pick: Pick) => void): Use[] {
  return picksAt(answer, path).map((pick) => ({ label: labelOf(pick), run: () => run(pick) }));
}

function labelOf(pick: Pick): string {
  const path = pick.path.join('.');
  if (pick.kind === 'records') return path ? t('The records are in “{path}”', { path }) : t('The answer itself is the records');
  return pick.kind === 'key' ? t('“{path}” identifies a record', { path }) : t('“{path}” tells what is new', { path });
}

/** The format of a time, and the beginning of time in it. */
export function timeFormat(value: unknown): { format: string; start: string } {
  const text = String(value);
  if (/^\d{13}$/.test(text)) return { format: '%ms', start: '0' };
  if (/^\d{9,10}(\.\d+)?$/.test(text)) return text.includes('.') ? { format: '%s_as_float', start: '0' } : { format: '%s', start: '0' };
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return { format: '%Y-%m-%d', start: '2000-01-01' };
  const time = /^\d{4}-\d\d-\d\d(T| )\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  if (!time) return { format: '%Y-%m-%dT%H:%M:%SZ', start: '2000-01-01T00:00:00Z' };
  const [, between, fraction, zone] = time;
  const format = `%Y-%m-%d${between}%H:%M:%S${fraction ? '.%f' : ''}${zone === undefined ? '' : zone === 'Z' ? 'Z' : '%z'}`;
  const start = `2000-01-01${between}00:00:00${fraction ? '.000000' : ''}${zone === undefined ? '' : zone === 'Z' ? 'Z' : '+0000'}`;
  return { format, start };
}
