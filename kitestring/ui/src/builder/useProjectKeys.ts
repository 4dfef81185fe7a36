/** The keys of a project's page: Ctrl-S saves, Ctrl-Z and Ctrl-Y go back and forth over edits of the manifest. */
import { useEffect, useRef } from 'react';

interface Actions {
  save: () => void;
  undo: () => void;
  redo: () => void;
}

/** Fields of the manifest's form are in an element with `data-manifest`; other fields keep the browser's own undo. */
export function useProjectKeys(actions: Actions | null): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!latest.current || event.defaultPrevented || !(event.ctrlKey || event.metaKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      const { save, undo, redo } = latest.current;
      if (key === 's') run(event, save);
      else if ((key === 'z' || key === 'y') && isOurs(event.target)) run(event, key === 'y' || event.shiftKey ? redo : undo);
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, []);
}

function run(event: KeyboardEvent, action: () => void): void {
  event.preventDefault();
  action();
}

/** The text editor undoes by itself. */
function isOurs(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return true;
  const field = target.closest('input, textarea, [contenteditable=true]');
  return field === null || (field.closest('[data-manifest]') !== null && target.closest('.cm-editor') === null);
}
