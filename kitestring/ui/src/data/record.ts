/** Rows, chunks and search hits in a readable form: what they are called, and where they come from. */
import type { DataChunk, DataRow, SearchHit } from '../api/schema.gen';

/** The fields of a row, a chunk or a hit. */
export type Fields = Readonly<Record<string, unknown>>;

export const TITLES = ['subject', 'title', 'name'];
const LINKS = ['source_url', 'html_url', 'web_url', 'permalink', 'url', '_url', 'link'];
const MAX_FIELDS = 12;

/** A hit without a title is called by its record: its own id is a digest. */
export function titleOf(hit: Fields): string {
  const title = TITLES.map((name) => hit[name]).find((value) => value !== undefined && value !== null && value !== '');
  return String(title ?? hit.record_id ?? hit.id ?? '');
}

/** The page of the record at its source: a web address in the record; anything else is not a link. */
export function linkOf(hit: Fields): string | undefined {
  const link = LINKS.map((name) => hit[name]).find((value): value is string => typeof value === 'string' && /^https?:\/\//.test(value));
  // Zendesk gives the address of its API; people have pages of the same number.
  return link?.replace(/^(https:\/\/[^/]+)\/api\/v2\/(tickets|users|organizations)\/(\d+)\.json$/, '$1/agent/$2/$3');
}

export function isChunk(row: DataRow | DataChunk): row is DataChunk {
  return 'chunkId' in row;
}

/** A hit of a search as a chunk. */
export function chunkOf(hit: SearchHit): DataChunk {
  const { id, distance: _, text, stream, record_id: recordId, chunk_number: number, ...values } = hit as Record<string, unknown>;
  return {
    chunkId: String(id),
    text: typeof text === 'string' ? text : null,
    stream: typeof stream === 'string' ? stream : null,
    recordId: typeof recordId === 'string' ? recordId : null,
    number: typeof number === 'number' ? number : null,
    values: Object.fromEntries(Object.entries(values).filter(([name]) => !name.startsWith('_ab_') && !(name === 'url' && values.url === null))),
    cut: [],
    texts: [],
    deleted: Boolean(values._ab_cdc_deleted_at),
  };
}

/** The metadata that the page does not show elsewhere. */
export function restOf(hit: Fields): [string, string][] {
  return Object.entries(hit)
    .filter(([name, value]) => !['id', 'distance', 'text', 'stream', 'record_id', 'chunk_number', ...LINKS].includes(name) && !name.startsWith('_') && value !== null && value !== '')
    .filter(([, value]) => String(value) !== titleOf(hit))
    .slice(0, MAX_FIELDS)
    .map(([name, value]) => [name, short(typeof value === 'object' ? JSON.stringify(value) : String(value))]);
}

const short = (text: string) => (text.length > 120 ? `${text.slice(0, 119)}…` : text);
