/** The entries of the palette: pages and actions at once, the rest as the server knows it. */
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useMemo } from 'react';

import { api, OWN } from '../api/client';
import type { ConnectionOverviews, JobSummary } from '../api/schema.gen';
import { overviewsQuery } from '../endpoint/endpoints';
import { chooseWorkspace, useWorkspace } from '../session/session';
import { PLACES } from '../shell/navigation';
import { notifyError, notifySuccess } from '../shell/notify';
import { changePreferences, usePreferences } from '../shell/preferences';
import { t } from '../text';
import type { Entry } from './entries';

/** How many of a kind the server is asked for. */
const MAX_OF_KIND = 8;

export function useEntries(text: string, onHelp: () => void): Entry[] {
  const { workspaceId, workspaces, may } = useWorkspace();
  const navigate = useNavigate();
  const client = useQueryClient();
  const { density } = usePreferences();
  // “sync tickets” looks for tickets.
  const name = text.replace(/^sync\s+/i, '');
  const connections = useQuery({
    queryKey: ['connections', workspaceId, 'palette', name],
    queryFn: ({ signal }) => api.get<ConnectionOverviews>(`${OWN}/connections`, { workspaceIds: workspaceId, text: name, limit: MAX_OF_KIND }, signal),
    enabled: workspaceId !== undefined,
    placeholderData: keepPreviousData,
  }).data?.data;
  const sources = useQuery(overviewsQuery('source', workspaceId, { text }, MAX_OF_KIND)).data?.data;
  const destinations = useQuery(overviewsQuery('destination', workspaceId, { text }, MAX_OF_KIND)).data?.data;
  const { mutate: sync } = useMutation({
    mutationFn: (connection: { connectionId: string; name: string }) => api.post<JobSummary>(`${OWN}/connections/${connection.connectionId}/sync`),
    onSuccess: async (_, connection) => {
      notifySuccess(t('Sync of {name} started.', { name: connection.name }));
      await client.invalidateQueries({ queryKey: ['connections'] });
      await client.invalidateQueries({ queryKey: ['connection', connection.connectionId] });
    },
    onError: notifyError,
  });

  return useMemo(() => {
    const entries: Entry[] = PLACES.map((place) => ({ id: place.to, group: t('Pages'), label: place.label(), run: () => void navigate({ to: place.to }) }));
    const action = (id: string, label: string, run: () => void) => entries.push({ id, group: t('Actions'), label, run });
    if (may('editor')) {
      action('new-connection', t('New connection'), () => void navigate({ to: '/connections/new' }));
      action('new-source', t('New source'), () => void navigate({ to: '/sources/new' }));
      action('new-destination', t('New destination'), () => void navigate({ to: '/destinations/new' }));
      action('new-connector', t('New connector'), () => void navigate({ to: '/builder/new' }));
    }
    if (density === 'compact') action('density', t('Comfortable density'), () => changePreferences({ density: 'comfortable' }));
    else action('density', t('Compact density'), () => changePreferences({ density: 'compact' }));
    action('help', t('Show the keys'), onHelp);
    for (const workspace of workspaces.filter((other) => other.workspaceId !== workspaceId)) {
      action(workspace.workspaceId, t('Go to the workspace {name}', { name: workspace.name }), () => {
        chooseWorkspace(workspace.workspaceId);
        void navigate({ to: '/connections' });
      });
    }
    for (const connection of connections ?? []) {
      const { connectionId } = connection;
      const note = `${connection.source.name} → ${connection.destination.name}`;
      entries.push({
        ...{ id: connectionId, group: t('Connections'), label: connection.name, note },
        run: () => void navigate({ to: '/connections/$connectionId', params: { connectionId } }),
      });
      if (text !== '' && may('runner')) {
        entries.push({ id: `sync-${connectionId}`, group: t('Connections'), label: t('Sync {name}', { name: connection.name }), note, run: () => sync(connection) });
      }
    }
    for (const { id, name: label, connectorName: note } of sources ?? []) {
      entries.push({ id, group: t('Sources'), label, note, run: () => void navigate({ to: '/sources/$id', params: { id } }) });
    }
    for (const { id, name: label, connectorName: note } of destinations ?? []) {
      entries.push({ id, group: t('Destinations'), label, note, run: () => void navigate({ to: '/destinations/$id', params: { id } }) });
    }
    return entries;
  }, [connections, density, destinations, may, navigate, onHelp, sources, sync, text, workspaceId, workspaces]);
}
