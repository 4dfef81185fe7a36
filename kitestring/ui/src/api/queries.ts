/** The query cache: results are reused for a short time and refetched when they may have changed. */
import { QueryClient } from '@tanstack/react-query';

import { ApiError } from './client';
import { onComeback } from './online';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A read waits for a server that does not answer: what fails has had its repetitions.
      networkMode: 'always',
      retry: (times, error) => times < 2 && (!(error instanceof ApiError) || error.status === 503),
    },
    mutations: { networkMode: 'always' },
  },
});

onComeback(() => void queryClient.invalidateQueries());
