/** The short messages at the edge of the page: what is shown now. */
import { useSyncExternalStore } from 'react';

export interface Toast {
  id: number;
  tone: 'success' | 'error';
  title: string;
  hint?: string;
}

const MAX_SHOWN = 4;
const DURATION_MS = { success: 4_000, error: 12_000 };

let toasts: readonly Toast[] = [];
let count = 0;
const listeners = new Set<() => void>();

function set(value: readonly Toast[]): void {
  toasts = value;
  listeners.forEach((notify) => notify());
}

/** Show a message for a while. The same message again replaces the earlier one. */
export function showToast(toast: Omit<Toast, 'id'>): void {
  const id = ++count;
  const others = toasts.filter((other) => other.title !== toast.title || other.hint !== toast.hint);
  set([...others, { ...toast, id }].slice(-MAX_SHOWN));
  setTimeout(() => closeToast(id), DURATION_MS[toast.tone]);
}

export function closeToast(id: number): void {
  if (toasts.some((toast) => toast.id === id)) set(toasts.filter((toast) => toast.id !== id));
}

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
}
