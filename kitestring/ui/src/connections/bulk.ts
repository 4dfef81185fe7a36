/** Actions on one or many connections, and what became of each. */
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { BulkResult, BulkResults } from '../api/schema.gen';
import { notifyError } from '../shell/notify';

export type BulkAction = 'sync' | 'cancel' | 'pause' | 'resume' | 'addTags' | 'removeTags';

export interface BulkOrder {
  action: BulkAction;
  /** The connections by id, with their names. */
  names: Map<string, string>;
  tagIds?: string[];
}

export interface Outcome extends BulkResult {
  name: string;
}

export interface BulkOutcome {
  action: BulkAction;
  outcomes: Outcome[];
}

/** The server takes so many in one request. */
const MOST = 500;

async function send({ action, names, tagIds }: BulkOrder): Promise<BulkOutcome> {
  const ids = [...names.keys()];
  const runs = action === 'sync' || action === 'cancel';
  const outcomes: Outcome[] = [];
  for (let place = 0; place < ids.length; place += MOST) {
    const connectionIds = ids.slice(place, place + MOST);
    const body = runs ? { connectionIds, action } : { connectionIds, action, tagIds: tagIds ?? [] };
    const { data } = await api.post<BulkResults>(`${OWN}/connections/bulk/${runs ? 'run' : 'change'}`, body);
    outcomes.push(...data.map((result) => ({ ...result, name: names.get(result.connectionId) ?? result.connectionId })));
  }
  return { action, outcomes };
}

export function useBulk(onDone: (outcome: BulkOutcome) => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: send,
    onSuccess: async (outcome) => {
      onDone(outcome);
      await Promise.all([client.invalidateQueries({ queryKey: ['connections'] }), client.invalidateQueries({ queryKey: ['jobs'] })]);
    },
    onError: notifyError,
  });
}
