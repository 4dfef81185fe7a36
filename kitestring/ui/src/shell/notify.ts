/** Toasts for successes and errors. */
import { notifications } from '@mantine/notifications';

import { ApiError } from '../api/client';

const CLOSE = { 'aria-label': 'Close' };

export function notifySuccess(message: string): void {
  notifications.show({ message, color: 'kite', autoClose: 4000, closeButtonProps: CLOSE });
}

export function notifyError(error: unknown): void {
  const title = error instanceof Error ? error.message : String(error);
  const message = error instanceof ApiError ? error.hint : '';
  notifications.show({ title, message, color: 'red', autoClose: 10_000, closeButtonProps: CLOSE });
}
