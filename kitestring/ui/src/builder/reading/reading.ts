/** A test read as it comes: events of the server, put together to slices with pages. */
import { api } from '../../api/client';
import { eventsOf, type ServerEvent } from '../../api/events';
import type { HttpExchange, ManifestPage, ManifestReading, ManifestSlice } from '../../api/schema.gen';

export type Exchange = HttpExchange;
export type ReadPage = ManifestPage;
export type ReadSlice = ManifestSlice;

/** A read as it is so far: state and schema are null until its end. */
export interface Reading extends Omit<ManifestReading, 'stream' | 'schema' | 'state'> {
  records: number;
  pages: number;
  ended: boolean;
  state: Record<string, unknown> | null;
  schema: Record<string, unknown> | null;
}

export { eventsOf };
export type ReadEvent = ServerEvent;

export function emptyReading(): Reading {
  return { slices: [], other: [], logs: [], records: 0, pages: 0, ended: false, state: null, schema: null, schemaDifference: [], limited: [], error: '', hint: '' };
}

/** Add an event to a reading; it is changed in place, since a reading may have a hundred thousand records. */
export function add(reading: Reading, event: ReadEvent): void {
  switch (event.event) {
    case 'slice':
      reading.slices.push({ partition: {}, bounds: {}, pages: [], state: {}, ...(event as object) });
      break;
    case 'page': {
      const page: ReadPage = { exchange: null, records: [], rejects: [], attempts: [], likely: null, ...(event as object) };
      const index = typeof event.slice === 'number' ? event.slice : reading.slices.length - 1;
      if (reading.slices.length === 0) reading.slices.push({ partition: {}, bounds: {}, pages: [], state: {} });
      (reading.slices[index] ?? reading.slices[reading.slices.length - 1]!).pages.push(page);
      reading.pages += 1;
      reading.records += page.records.length;
      break;
    }
    case 'records': {
      const page = reading.slices[Number(event.slice)]?.pages[Number(event.page)];
      const records = event.records as ReadPage['records'];
      for (const record of records) page?.records.push(record);
      for (const reject of event.rejects as ReadPage['rejects']) page?.rejects.push(reject);
      reading.records += records.length;
      break;
    }
    case 'state': {
      const slice = reading.slices[Number(event.slice)];
      if (slice) slice.state = event.state as ReadSlice['state'];
      break;
    }
    case 'log':
      reading.logs.push({ level: String(event.level), message: String(event.message) });
      break;
    case 'other':
      reading.other.push(event.exchange as Exchange);
      break;
    case 'end': {
      const { records: _, pages: __, event: ___, ...end } = event;
      Object.assign(reading, end, { ended: true });
      break;
    }
  }
}

export async function readEvents(path: string, body: unknown, signal: AbortSignal, take: (event: ReadEvent) => void): Promise<void> {
  const response = await api.open(path, body, signal);
  for await (const event of eventsOf(response.body!)) take(event);
}
