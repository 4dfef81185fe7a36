/** A change of a connection, of what the user has seen: never of what somebody else saved meanwhile. */
import { api, isOvertaken, PUBLIC } from '../api/client';
import { queryClient } from '../api/queries';
import type { ConnectionDetail } from '../api/schema.gen';
import { connectionQuery } from '../connections/overviews';

/**
 * Send a change with the version that the page shows. Where somebody changed another part of the connection, which
 * `unaffected` says, it is sent again with the present version; else the refusal (412) is thrown.
 */
export async function patchAsSeen(connection: ConnectionDetail, body: unknown, unaffected: (present: ConnectionDetail) => boolean): Promise<void> {
  const path = `${PUBLIC}/connections/${connection.connectionId}`;
  try {
    await api.patch(path, body, connection.version);
  } catch (error) {
    if (!isOvertaken(error)) throw error;
    const present = await queryClient.fetchQuery({ ...connectionQuery(connection.connectionId), staleTime: 0 });
    if (!unaffected(present)) throw error;
    await api.patch(path, body, present.version);
  }
}
