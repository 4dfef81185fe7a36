/** Short messages about what has succeeded or failed. */
import { ApiError } from '../api/client';
import { showToast } from './toasts';

export function notifySuccess(message: string): void {
  showToast({ tone: 'success', title: message });
}

export function notifyError(error: unknown): void {
  showToast({
    tone: 'error',
    title: error instanceof Error ? error.message : String(error),
    hint: error instanceof ApiError ? error.hint : undefined,
  });
}
