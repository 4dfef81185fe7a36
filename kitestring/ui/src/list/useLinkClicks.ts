/** Follow the plain links of a list without loading the page again: one listener, where a router link each costs time. */
import { useRouter } from '@tanstack/react-router';
import { type MouseEvent, useCallback } from 'react';

export function useLinkClicks(): (event: MouseEvent) => void {
  const { history } = useRouter();
  return useCallback(
    (event) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      const anchor = (event.target as Element).closest('a[href]');
      if (!(anchor instanceof HTMLAnchorElement) || anchor.target || anchor.origin !== window.location.origin) return;
      event.preventDefault();
      history.push(anchor.pathname + anchor.search);
    },
    [history],
  );
}
