/** The streams of a connection as they are saved, by key. */
import type { ConnectionDetail } from '../api/schema.gen';
import { type StreamConfig, withoutEmptyLists } from '../streams/streams';

export function savedChoice(connection: ConnectionDetail): Record<string, StreamConfig> {
  return Object.fromEntries(connection.streams.map(({ key, last: _, ...stream }) => [key, withoutEmptyLists(stream)]));
}
