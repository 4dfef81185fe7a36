/** API calls for the configuration as text. */
import { queryOptions } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import { queryClient } from '../api/queries';
import type { ProjectChanges, TextPlan, TextWritten } from '../api/schema.gen';

/** One resource; the whole workspace without it. */
export interface Part {
  kind: 'source' | 'destination' | 'connection';
  name: string;
}

export const textQuery = (workspaceId: string, part?: Part) =>
  queryOptions({
    queryKey: ['configuration', workspaceId, part?.kind, part?.name],
    queryFn: async () => (await api.get<TextWritten>(`${OWN}/project/text`, { workspaceId, ...part })).text,
    staleTime: 0,
  });

export function plan(workspaceId: string, text: string): Promise<TextPlan> {
  return api.post<TextPlan>(`${OWN}/project/text/plan`, { workspaceId, text });
}

export async function apply(workspaceId: string, text: string): Promise<ProjectChanges> {
  const applied = await api.post<ProjectChanges>(`${OWN}/project/text/apply`, { workspaceId, text });
  // Sources, destinations, connections and their lists: all of them may be others now.
  await queryClient.invalidateQueries();
  return applied;
}
