/**
 * The saving of a project: by itself, shortly after a change, one request after the other.
 *
 * Somebody else's change is never overwritten: the server refuses another revision, and the page asks.
 */
import { useCallback, useEffect, useRef, useState } from 'react';

import { api, ApiError } from '../api/client';
import { queryClient } from '../api/queries';
import type { Values } from '../form/schema';
import { type Project, PROJECTS, projectQuery } from './projects';

const PAUSE_MS = 1_500;
/** A server that did not answer, or with an error of its own, is asked again after so long. */
const RETRY_MS = 5_000;

export interface Change {
  name?: string;
  icon?: string;
  manifest?: string;
  testConfiguration?: Values;
}

export interface Saving {
  project: Project;
  /** What of the page the server does not have yet. */
  unsaved: boolean;
  pending: boolean;
  error: unknown;
  /** The project as somebody else has saved it meanwhile. */
  conflict: Project | null;
  /** Save now; resolves when the server has it. */
  save: (change?: Change) => Promise<Project>;
  /** Go on from what the other has saved; their text becomes the base. */
  takeTheirs: () => Project | null;
  /** Go on from what the other has saved, and write the page's text over it. */
  keepMine: () => void;
  adopt: (project: Project) => void;
  /** Take inputs of the test that the server has from elsewhere; the text and the revision stay. */
  adoptInputs: (stored: Project) => void;
}

/** `textNow`: the text as it is, which the page may draw a moment later. */
export function useSaving(initial: Project, text: string, textNow: () => string, mayEdit: boolean): Saving {
  const [project, setProject] = useState(initial);
  const [pending, setPending] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const [conflict, setConflict] = useState<Project | null>(null);
  const current = useRef(initial);
  const latest = useRef(textNow);
  latest.current = textNow;
  const queue = useRef<Promise<unknown>>(Promise.resolve());
  const unsaved = text !== project.manifest;

  const adopt = useCallback((next: Project) => {
    current.current = next;
    setProject(next);
    queryClient.setQueryData(projectQuery(next.projectId).queryKey, next);
    void queryClient.invalidateQueries({ queryKey: ['builder', 'projects'] });
  }, []);

  const adoptInputs = useCallback(({ testConfiguration }: Project) => adopt({ ...current.current, testConfiguration }), [adopt]);

  const save = useCallback(
    (change: Change = {}): Promise<Project> => {
      const run = async () => {
        const { projectId, revision, manifest } = current.current;
        const written = latest.current();
        const body = { ...(written !== manifest && { manifest: written }), ...change };
        if (Object.keys(body).length === 0) return current.current;
        setPending((count) => count + 1);
        try {
          const saved = await api.patch<Project>(`${PROJECTS}/${projectId}`, { revision, ...body });
          adopt(saved);
          setError(null);
          return saved;
        } catch (failure) {
          setError(failure);
          if (failure instanceof ApiError && failure.status === 409) setConflict(await api.get<Project>(`${PROJECTS}/${projectId}`));
          throw failure;
        } finally {
          setPending((count) => count - 1);
        }
      };
      const next = queue.current.then(run, run);
      queue.current = next.catch(() => undefined);
      return next;
    },
    [adopt],
  );

  useEffect(() => {
    if (!mayEdit || conflict || text === current.current.manifest) return;
    const timer = window.setTimeout(() => void save().catch(() => undefined), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [text, mayEdit, conflict, save]);

  useEffect(() => {
    const passes = error instanceof ApiError && (error.status === 0 || error.status >= 500);
    if (!mayEdit || conflict || !unsaved || !passes) return;
    const timer = window.setTimeout(() => void save().catch(() => undefined), RETRY_MS);
    return () => window.clearTimeout(timer);
  }, [error, mayEdit, conflict, unsaved, save]);

  // Leaving the page by a link: what was typed in the last second is saved too.
  useEffect(
    () => () => {
      if (mayEdit && latest.current() !== current.current.manifest) void save().catch(() => undefined);
    },
    [mayEdit, save],
  );
  useEffect(() => {
    if (!unsaved || !mayEdit) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [unsaved, mayEdit]);

  const settle = useCallback(() => {
    const theirs = conflict;
    if (theirs) adopt(theirs);
    setConflict(null);
    setError(null);
    return theirs;
  }, [adopt, conflict]);

  const keepMine = useCallback(() => {
    if (settle()) void save().catch(() => undefined);
  }, [settle, save]);

  return { project, unsaved, pending: pending > 0, error, conflict, save, takeTheirs: settle, keepMine, adopt, adoptInputs };
}
