/** The session of the user, and the current workspace. */
import { queryOptions, useQuery } from '@tanstack/react-query';
import { useCallback, useSyncExternalStore } from 'react';

import { api, ApiError, OWN, PUBLIC, setCsrf } from '../api/client';
import { signedIn, untilSignedIn } from '../api/expiry';
import { queryClient } from '../api/queries';
import type { LoginWays, SessionRead, Workspace, Workspaces } from '../api/schema.gen';
import { t } from '../text';

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
      if (!(error instanceof ApiError && error.status === 401)) throw error;
      const session = queryClient.getQueryData<SessionRead | null>(['session']);
      if (!session) return null;
      // It has expired while a page is open: the page keeps what it knows until the user has signed in again.
      void untilSignedIn();
      return session;
    }
  },
  staleTime: 60_000,
});

/** Begin a session. Throws an error in words for the person who signs in. */
export async function signIn(email: string, password: string): Promise<SessionRead> {
  try {
    return await api.post<SessionRead>(`${OWN}/session/login`, { email, password });
  } catch (error) {
    throw error instanceof ApiError ? signInError(error) : error;
  }
}

/** What the server says to programs, for people. */
export function signInError(error: ApiError): ApiError {
  if (error.status === 401) {
    return new ApiError(401, t('The e-mail address or the password is wrong'), t('Check both, and try again.'), error.data);
  }
  if (error.status === 429) {
    return new ApiError(429, t('There were too many attempts to sign in'), t('Wait a minute, then try again.'), error.data);
  }
  return error;
}

/** Show the pages to this session; they know nothing yet. */
export function startSession(session: SessionRead): void {
  setCsrf(session.csrfToken);
  queryClient.clear();
  queryClient.setQueryData(sessionQuery.queryKey, session);
  signedIn();
}

/** Go on with the pages that are open: the same user has a new session. Another user starts with a new page. */
export function resumeSession(session: SessionRead): void {
  const former = queryClient.getQueryData<SessionRead | null>(['session']);
  if (former?.userId && former.userId !== session.userId) {
    sessionStorage.clear();
    window.location.assign('/');
    return;
  }
  setCsrf(session.csrfToken);
  queryClient.setQueryData(sessionQuery.queryKey, session);
  signedIn();
  void queryClient.invalidateQueries();
}

export async function signOut(): Promise<void> {
  try {
    await api.post(`${OWN}/session/logout`);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) throw error;
  }
  setCsrf(null);
  sessionStorage.clear();
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
