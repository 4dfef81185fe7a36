/** What can be done with a connection as a whole: sync now, cancel, pause, resume. */
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { api, OWN, PUBLIC } from '../api/client';
import type { ConnectionOverview, JobSummary } from '../api/schema.gen';
import { notifySuccess, notifyError } from '../shell/notify';

export function useActions(one: Pick<ConnectionOverview, 'connectionId' | 'name' | 'job'>) {
  const client = useQueryClient();
  const done = async () => {
    await Promise.all([
      client.invalidateQueries({ queryKey: ['connections'] }),
      client.invalidateQueries({ queryKey: ['connection', one.connectionId] }),
      client.invalidateQueries({ queryKey: ['jobs', one.connectionId] }),
    ]);
  };
  const status = (value: 'active' | 'inactive') => api.patch(`${PUBLIC}/connections/${one.connectionId}`, { status: value });
  const sync = useMutation({
    mutationFn: () => api.post<JobSummary>(`${OWN}/connections/${one.connectionId}/sync`),
    onSuccess: async () => {
      notifySuccess(`The sync of ${one.name} has begun.`);
      await done();
    },
    onError: notifyError,
  });
  const cancel = useMutation({
    mutationFn: () => api.post(`${OWN}/jobs/${one.job?.jobId}/cancel`),
    onSuccess: async () => {
      notifySuccess('It stops at the next checkpoint.');
      await done();
    },
    onError: notifyError,
  });
  const pause = useMutation({ mutationFn: () => status('inactive'), onSuccess: done, onError: notifyError });
  const resume = useMutation({ mutationFn: () => status('active'), onSuccess: done, onError: notifyError });
  return { sync, cancel, pause, resume, done };
}
