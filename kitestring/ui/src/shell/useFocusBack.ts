/**
 * Gives the focus back to where it was when a dialog goes that is drawn only while it is open.
 *
 * Mantine's own way remembers the focus when a dialog opens that was drawn closed before.
 */
import { useEffect, useState } from 'react';

export function useFocusBack(): void {
  const [origin] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      // After the dialog is gone and the page around it can have the focus.
      window.setTimeout(() => {
        const free = document.activeElement === null || document.activeElement === document.body;
        if (free && origin instanceof HTMLElement && origin.isConnected) origin.focus({ preventScroll: true });
      });
    },
    [origin],
  );
}
