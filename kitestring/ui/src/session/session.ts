/** The session of the user, and the current workspace. */
import { queryOptions, useQuery } from '@tanstack/react-query';
import { useCallback, useSyncExternalStore } from 'react';

import { api, ApiError, OWN, PUBLIC, setCsrf } from '../api/client';
import { queryClient } from '../api/queries';
import type { LoginWays, SessionRead, Workspace, Workspaces } from '../api/schema.gen';

export type Role = 'reader' | 'runner' | 'editor' | 'admin';
export const ROLES: Role[] = ['reader', 'runner', 'editor', 'admin'];

export const waysQuery = queryOptions({
  queryKey: ['ways'],
  queryFn: () => api.get<LoginWays>(`${OWN}/session/ways`),
  staleTime: 60_000,
});

/** The session, or null when a sign-in is required. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async () => {
    try {
      const session = await api.get<SessionRead>(`${OWN}/session`);
      setCsrf(session.csrfToken);
      return session;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});

export async function signIn(email: string, password: string): Promise<void> {
  const session = await api.post<SessionRead>(`${OWN}/session/login`, { email, password });
  setCsrf(session.csrfToken);
  queryClient.clear();
  queryClient.setQueryData(sessionQuery.queryKey, session);
}

export async function signOut(): Promise<void> {
  await api.post(`${OWN}/session/logout`);
  setCsrf(null);
  queryClient.clear();
}

export const workspacesQuery = queryOptions({
  queryKey: ['workspaces'],
  queryFn: async () => (await api.get<Workspaces>(`${PUBLIC}/workspaces`, { limit: 100 })).data,
  staleTime: 60_000,
});

const KEY = 'kitestring.workspace';
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function chooseWorkspace(id: string): void {
  localStorage.setItem(KEY, id);
  listeners.forEach((listener) => listener());
}

/** The current workspace (the last chosen, else the first), and whether the user has a role in it. */
export function useWorkspace(): {
  workspaceId: string | undefined;
  workspaces: Workspace[];
  may: (role: Role) => boolean;
} {
  const chosen = useSyncExternalStore(subscribe, () => localStorage.getItem(KEY));
  const workspaces = useQuery(workspacesQuery).data ?? [];
  const session = useQuery(sessionQuery).data;
  const workspaceId = (workspaces.find((workspace) => workspace.workspaceId === chosen) ?? workspaces[0])?.workspaceId;
  const may = useCallback(
    (role: Role) => {
      if (!session) return false;
      if (session.instanceAdmin) return true;
      const heldRole = session.workspaces.find((workspace) => workspace.id === workspaceId)?.role;
      return heldRole !== undefined && ROLES.indexOf(heldRole) >= ROLES.indexOf(role);
    },
    [session, workspaceId],
  );
  return { workspaceId, workspaces, may };
}
