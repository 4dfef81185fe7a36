/** API calls and queries of the Data page. */
import { keepPreviousData, type QueryClient, queryOptions } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { DataChunk, DataChunks, DataMap, DataNeighbours, DataRow, DataRows, DataStream, DataStreams, SearchHits, SimilarRead, SimilarRecords } from '../api/schema.gen';
import { againWhileWriting } from './busy';
import { parseFilter } from './filter';

export const PAGE = 50;
export const NEIGHBOURS = 10;
export const MAP_CHUNKS = 500;
const WHOLE = 1_000_000;

export type Row = DataRow | DataChunk;

/** What the address says. */
export interface DataParams {
  /** The id of the destination. */
  in?: string;
  stream?: string;
  namespace?: string;
  view?: string;
  where?: string;
  page?: number;
  deleted?: string;
  /** The question of a search, and how many hits. */
  text?: string;
  limit?: number;
  /** A stream by the connection that writes it: `connection id:stream`. */
  from?: string;
}

/** What leads to the rows of a connection's stream, or to those of its first one. */
export function dataAddress(destinationId: string, connectionId: string, stream?: string): DataParams {
  return { in: destinationId, from: `${connectionId}:${stream ?? ''}` };
}

export function dataPath(destinationId: string, verb: 'streams' | 'rows' | 'record' | 'neighbours' | 'map'): string {
  return `${OWN}/destinations/${destinationId}/data/${verb}`;
}

export const streamsQuery = (destinationId: string | undefined) =>
  queryOptions({
    queryKey: ['data', destinationId, 'streams'],
    queryFn: () => api.get<DataStreams>(dataPath(destinationId!, 'streams')),
    enabled: destinationId !== undefined,
    retry: false,
    refetchInterval: againWhileWriting,
    staleTime: 30_000,
  });

/** The body of a request for rows, with the defaults left out. */
export function rowsBody(stream: DataStream, params: DataParams): Record<string, unknown> {
  const page = params.page ?? 1;
  return {
    stream: stream.name,
    ...(stream.namespace ? { namespace: stream.namespace } : {}),
    ...(parseFilter(params.where ?? '') === null ? {} : { where: parseFilter(params.where ?? '') }),
    limit: PAGE,
    ...(page > 1 ? { offset: (page - 1) * PAGE } : {}),
    ...(params.deleted ? { includeDeleted: true } : {}),
  };
}

export const rowsQuery = (destinationId: string, stream: DataStream, params: DataParams) => {
  const body = rowsBody(stream, params);
  return queryOptions({
    queryKey: ['data', destinationId, 'rows', body],
    queryFn: () => api.post<DataRows>(dataPath(destinationId, 'rows'), body),
    retry: false,
    refetchInterval: againWhileWriting,
    staleTime: 10_000,
    placeholderData: keepPreviousData,
  });
};

/** A row with its long values whole: the same one, or none if it has been written again since. */
export const wholeRowQuery = (destinationId: string, body: Record<string, unknown>, offset: number, row: Row) =>
  queryOptions({
    queryKey: ['data', destinationId, 'row', body, offset],
    queryFn: async () => {
      const page = await api.post<DataRows>(dataPath(destinationId, 'rows'), { ...body, offset, limit: 1, longest: WHOLE });
      const whole = page.rows[0];
      const same = whole && Object.entries(row.values).every(([name, value]) => row.cut.includes(name) || JSON.stringify(whole.values[name]) === JSON.stringify(value));
      return same ? whole : null;
    },
    enabled: row.cut.length > 0,
    retry: false,
    refetchInterval: againWhileWriting,
  });

export const recordQuery = (destinationId: string, chunk: DataChunk) => {
  const body = { stream: chunk.stream ?? '', recordId: chunk.recordId ?? '' };
  return queryOptions({
    queryKey: ['data', destinationId, 'record', body],
    queryFn: async () => (await api.post<DataChunks>(dataPath(destinationId, 'record'), body)).data,
    enabled: Boolean(chunk.stream && chunk.recordId),
    retry: false,
    refetchInterval: againWhileWriting,
  });
};

export const neighboursQuery = (destinationId: string, chunkId: string) => {
  const body = { chunkId, limit: NEIGHBOURS };
  return queryOptions({
    queryKey: ['data', destinationId, 'neighbours', body],
    queryFn: async () => (await api.post<DataNeighbours>(dataPath(destinationId, 'neighbours'), body)).data,
    retry: false,
    refetchInterval: againWhileWriting,
  });
};

/** The records that resemble the record of a chunk, by all of its chunks. */
export const similarQuery = (destinationId: string, chunk: DataChunk) => {
  const body = { records: [{ stream: chunk.stream ?? '', recordId: chunk.recordId ?? '' }], limit: NEIGHBOURS };
  return queryOptions({
    queryKey: ['data', destinationId, 'similar', body],
    queryFn: async () => (await api.ask<SimilarRecords>(`${OWN}/destinations/${destinationId}/similar`, body)).data,
    enabled: Boolean(chunk.stream && chunk.recordId),
    retry: false,
    refetchInterval: againWhileWriting,
  });
};

/** A chunk that something refers to by its record, with the fields of the record if it can be read. */
export async function loadChunk(client: QueryClient, destinationId: string, reference: ChunkReference): Promise<DataChunk> {
  const { chunkId, recordId, stream, text } = reference;
  const chunk: DataChunk = { chunkId, recordId, stream, text, number: null, values: { title: reference.title, url: reference.url }, cut: [], texts: [], deleted: false };
  if (!recordId || !stream) return chunk;
  const chunks = await client.fetchQuery(recordQuery(destinationId, chunk)).catch(() => []);
  return chunks.find((each) => each.chunkId === chunkId) ?? chunks[0] ?? chunk;
}

export type ChunkReference = Pick<SimilarRead, 'chunkId' | 'recordId' | 'stream' | 'text' | 'title' | 'url'>;

export function mapBody(streams: readonly DataStream[], params: DataParams): Record<string, unknown> {
  const where = parseFilter(params.where ?? '');
  const chosen = streams.filter((stream) => stream.name === params.stream);
  return { streams: (chosen.length ? chosen : streams).map((stream) => stream.name), ...(where === null ? {} : { where }), most: MAP_CHUNKS };
}

export const mapQuery = (destinationId: string, streams: readonly DataStream[], params: DataParams) => {
  const body = mapBody(streams, params);
  return queryOptions({
    queryKey: ['data', destinationId, 'map', body],
    queryFn: () => api.post<DataMap>(dataPath(destinationId, 'map'), body),
    enabled: streams.length > 0,
    retry: false,
    refetchInterval: againWhileWriting,
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });
};

export function searchBody(params: DataParams): Record<string, unknown> {
  return { text: params.text, where: parseFilter(params.where ?? ''), limit: params.limit ?? 10, ...(params.stream ? { stream: params.stream } : {}) };
}

export const searchQuery = (destinationId: string, params: DataParams) => {
  const body = searchBody(params);
  return queryOptions({
    queryKey: ['data', destinationId, 'search', body],
    queryFn: () => api.post<SearchHits>(`${OWN}/destinations/${destinationId}/search`, body),
    enabled: Boolean(params.text),
    retry: false,
    refetchInterval: againWhileWriting,
    staleTime: 0,
  });
};

/** What the number of a hit means: hits come best first. */
export type Measure = 'distance' | 'similarity' | 'unknown';

export function measureOf(hits: readonly { distance?: unknown }[]): Measure {
  const [first, last] = [hits[0]?.distance, hits.at(-1)?.distance];
  if (typeof first !== 'number' || typeof last !== 'number' || first === last) return 'unknown';
  return first < last ? 'distance' : 'similarity';
}

/** The same for a search, whose answer says it. */
export function measureOfSearch(answer: SearchHits | undefined): Measure {
  if (!answer?.nearest) return measureOf(answer?.data ?? []);
  return answer.nearest === 'smallest' ? 'distance' : 'similarity';
}

/** A text cut at the places of an answer's highlights: every second part is one. `start`: what was cut off before the text. */
export function highlighted(text: string, places: readonly (readonly number[])[], start: number): string[] {
  const parts: string[] = [];
  let end = 0;
  // The places count characters, and a text of JavaScript has two units for some.
  const characters = Array.from(text);
  for (const [from, to] of places) {
    const [begin, stop] = [from! - start, to! - start];
    if (begin < end) continue;
    parts.push(characters.slice(end, begin).join(''), characters.slice(begin, stop).join(''));
    end = stop;
  }
  return [...parts, characters.slice(end).join('')];
}

/** A stream's key in lists: the namespace and the name. */
export function keyOf(stream: Pick<DataStream, 'name' | 'namespace'>): string {
  return stream.namespace ? `${stream.namespace}.${stream.name}` : stream.name;
}

/** The stream that the address names, else the first. */
export function chosenStream(streams: readonly DataStream[], params: DataParams): DataStream | undefined {
  if (params.from) {
    const colon = params.from.indexOf(':');
    const [connectionId, key] = [params.from.slice(0, colon), params.from.slice(colon + 1)];
    const written = streams.find((stream) => stream.writers.some((writer) => writer.connectionId === connectionId && (!key || writer.stream === key)));
    if (written) return written;
  }
  return streams.find((stream) => stream.name === params.stream && (stream.namespace ?? undefined) === params.namespace) ?? streams.find((stream) => stream.name === params.stream) ?? (params.stream || params.from ? undefined : streams[0]);
}
