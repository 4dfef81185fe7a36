/** A live job: fetched once, then updated by server-sent events until it ends. */
import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';

import { api, OWN } from '../api/client';
import type { JobDetail } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';

export function jobQuery(jobId: string) {
  return queryOptions({
    queryKey: ['job', jobId],
    queryFn: ({ signal }) => api.get<JobDetail>(`${OWN}/jobs/${jobId}`, undefined, signal),
    // Events arrive sooner; polling covers a proxy that drops them.
    refetchInterval: (query) => (query.state.data && ACTIVE.includes(query.state.data.status) ? 10_000 : false),
  });
}

export function useJob(jobId: string) {
  const client = useQueryClient();
  const query = useQuery(jobQuery(jobId));
  const running = query.data !== undefined && ACTIVE.includes(query.data.status);
  useEffect(() => {
    if (!running) return;
    // The log is read separately, page by page: the events carry only its errors.
    const events = new EventSource(`${OWN}/jobs/${jobId}/events?level=error`);
    events.addEventListener('job', (event) => {
      client.setQueryData(['job', jobId], JSON.parse(event.data) as JobDetail);
    });
    events.addEventListener('progress', (event) => {
      const progress = JSON.parse(event.data) as JobDetail['progress'];
      client.setQueryData<JobDetail>(['job', jobId], (job) => job && { ...job, progress });
    });
    events.addEventListener('end', () => {
      events.close();
      void client.invalidateQueries({ queryKey: ['connection'] });
      void client.invalidateQueries({ queryKey: ['connections'] });
      void client.invalidateQueries({ queryKey: ['job', jobId] });
    });
    events.addEventListener('error', () => {
      // The server closed the stream, for example after sign-out: a refetch returns the reason.
      if (events.readyState === EventSource.CLOSED) void client.invalidateQueries({ queryKey: ['job', jobId] });
    });
    return () => events.close();
  }, [running, jobId, client]);
  return query;
}
