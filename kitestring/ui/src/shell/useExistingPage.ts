/** A page number of the address that lies behind the last page leads to the last page. */
import { useEffect } from 'react';

export function useExistingPage(page: number | undefined, pages: number | undefined, go: (page: number) => void): void {
  const isBehind = page !== undefined && pages !== undefined && page > Math.max(pages, 1);
  useEffect(() => {
    if (isBehind) go(Math.max(pages ?? 1, 1));
    // `go` is another function on each render.
  }, [isBehind, pages]);
}
