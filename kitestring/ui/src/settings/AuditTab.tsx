/** Who changed what, and when, in sentences; the fields behind a sentence on demand. Secrets are masked. */
import { Button, Center, Group, Paper, Select, Stack, Text, TextInput } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';

import { api, OWN } from '../api/client';
import type { AuditActors, AuditEntries } from '../api/schema.gen';
import { useLinkClicks } from '../list/useLinkClicks';
import { actorName } from '../session/anonymous';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { t } from '../text';
import { AuditLine } from './AuditLine';
import { nounOf } from './auditSentence';

const route = getRouteApi('/shell/settings');
const PAGE = 50;
const DAY_MS = 86_400_000;
const KINDS = ['connection', 'source', 'destination', 'job', 'connection_tag', 'state', 'workspace', 'user', 'permission', 'application', 'definition', 'builder_project'];

const KIND_LABELS: Record<string, () => string> = {
  connection_tag: () => t('tags of connections'),
  state: () => t('states of streams'),
  job: () => t('syncs and other jobs'),
  permission: () => t('roles of users'),
};

/** The midnight at which a day of a date field begins here. */
const dayMs = (day: string | undefined) => (day && !Number.isNaN(Date.parse(`${day}T00:00`)) ? Date.parse(`${day}T00:00`) : undefined);

/** Two dates share a line of a phone. */
const DATE = { flex: '1 1 140px', maxWidth: 180 };

export function AuditTab({ workspaceId }: { workspaceId: string }) {
  const { actor, kind, since, until } = route.useSearch();
  const navigate = route.useNavigate();
  const change = (changes: Partial<Record<'actor' | 'kind' | 'since' | 'until', string | undefined>>) =>
    void navigate({ search: (previous) => ({ ...previous, tab: 'audit', ...changes }), replace: true });
  const follow = useLinkClicks();
  const last = dayMs(until);
  const filter = { workspaceId, actor, kind, sinceMs: dayMs(since), untilMs: last === undefined ? undefined : last + DAY_MS };
  const query = useInfiniteQuery({
    queryKey: ['audit', filter],
    queryFn: ({ pageParam, signal }) => api.get<AuditEntries>(`${OWN}/audit`, { ...filter, limit: PAGE, before: pageParam }, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const actors = useQuery({
    queryKey: ['audit actors', workspaceId],
    queryFn: async () => (await api.get<AuditActors>(`${OWN}/audit/actors`, { workspaceId })).data,
  }).data;
  const entries = query.data?.pages.flatMap((page) => page.data);
  const filtered = Boolean(actor || kind || since || until);
  return (
    <Stack gap="sm">
      <Group gap="xs" align="flex-end">
        <Select
          label={t('Who')}
          placeholder={t('Anyone')}
          data={(actors ?? (actor ? [actor] : [])).map((name) => ({ value: name, label: actorName(name) }))}
          value={actor ?? null}
          onChange={(value) => change({ actor: value ?? undefined })}
          clearable
          clearButtonProps={{ 'aria-label': t('Anyone') }}
          style={{ flex: '1 1 140px' }}
          maw={280}
        />
        <Select
          label={t('What')}
          placeholder={t('Anything')}
          data={KINDS.map((value) => ({ value, label: KIND_LABELS[value]?.() ?? nounOf(value) }))}
          value={kind ?? null}
          onChange={(value) => change({ kind: value ?? undefined })}
          clearable
          clearButtonProps={{ 'aria-label': t('Anything') }}
          style={{ flex: '1 1 140px' }}
          maw={220}
        />
        <TextInput type="date" label={t('From')} value={since ?? ''} onChange={(event) => change({ since: event.currentTarget.value || undefined })} style={DATE} />
        <TextInput type="date" label={t('To')} value={until ?? ''} onChange={(event) => change({ until: event.currentTarget.value || undefined })} style={DATE} />
        {filtered && (
          <Button variant="subtle" onClick={() => change({ actor: undefined, kind: undefined, since: undefined, until: undefined })}>
            {t('Clear the filters')}
          </Button>
        )}
      </Group>
      {query.error && <ErrorNote error={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <RowsSkeleton />}
      {entries?.length === 0 && <Text c="dimmed">{filtered ? t('No entry matches the filters.') : t('No changes yet.')}</Text>}
      {entries && entries.length > 0 && (
        <Paper withBorder component="ol" aria-label={t('Audit log')} m={0} p={0} style={{ listStyle: 'none' }} onClick={follow}>
          {entries.map((entry) => (
            <AuditLine key={entry.id} entry={entry} />
          ))}
        </Paper>
      )}
      {query.hasNextPage && (
        <Center>
          <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {t('Older entries')}
          </Button>
        </Center>
      )}
    </Stack>
  );
}
