/** The actions of a connection: sync, cancel, pause, resume. */
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { api, OWN, PUBLIC } from '../api/client';
import type { ConnectionOverview, JobSummary } from '../api/schema.gen';
import { notifySuccess, notifyError } from '../shell/notify';
import { t } from '../text';

export function useActions(connection: Pick<ConnectionOverview, 'connectionId' | 'name' | 'job'>) {
  const client = useQueryClient();
  const invalidate = async () => {
    await Promise.all([
      client.invalidateQueries({ queryKey: ['connections'] }),
      client.invalidateQueries({ queryKey: ['connection', connection.connectionId] }),
      client.invalidateQueries({ queryKey: ['jobs', connection.connectionId] }),
    ]);
  };
  const status = (value: 'active' | 'inactive') => api.patch(`${PUBLIC}/connections/${connection.connectionId}`, { status: value });
  const sync = useMutation({
    mutationFn: () => api.post<JobSummary>(`${OWN}/connections/${connection.connectionId}/sync`),
    onSuccess: async () => {
      notifySuccess(t('Sync of {name} started.', { name: connection.name }));
      await invalidate();
    },
    onError: notifyError,
  });
  const cancel = useMutation({
    mutationFn: () => api.post(`${OWN}/jobs/${connection.job?.jobId}/cancel`),
    onSuccess: async () => {
      notifySuccess(t('The job stops at the next checkpoint.'));
      await invalidate();
    },
    onError: notifyError,
  });
  const pause = useMutation({ mutationFn: () => status('inactive'), onSuccess: invalidate, onError: notifyError });
  const resume = useMutation({ mutationFn: () => status('active'), onSuccess: invalidate, onError: notifyError });
  return { sync, cancel, pause, resume, invalidate };
}
