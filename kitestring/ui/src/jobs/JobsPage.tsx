/** All jobs of a workspace, newest first: by status, kind and connection, with the filter in the address. */
import { Chip, Group, Select, Stack, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';

import { kindWord } from '../job/JobRow';
import { JobsList, useJobs } from '../job/JobsTable';
import { useSearchText } from '../list/useSearchText';
import { useWorkspace } from '../session/session';
import { count } from '../shell/format';
import { PageHeader } from '../shell/PageHeader';
import { statusWord } from '../shell/StatusBadge';
import { t } from '../text';

const route = getRouteApi('/shell/jobs');
const STATUSES = ['running', 'pending', 'incomplete', 'failed', 'suspicious', 'succeeded', 'cancelled'];
const KINDS = ['sync', 'refresh', 'clear', 'backfill'];

export function JobsPage() {
  const { workspaceId } = useWorkspace();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const query = useJobs({ workspaceIds: workspaceId, ...search }, true);
  const counts = query.data?.counts ?? {};
  const all = Object.values(counts).reduce((sum, number) => sum + number, 0);
  // Another filter begins at its newest jobs.
  const change = (filter: Partial<typeof search>) => void navigate({ search: { ...search, before: undefined, ...filter }, replace: true });
  const [typed, type] = useSearchText(search.text ?? '', (text) => change({ text: text || undefined }));
  return (
    <>
      <PageHeader title={t('Jobs')} note={t('Each sync, refresh, clear and backfill, newest first.')} />
      <Stack>
        <Group gap="sm">
          <TextInput
            aria-label={t('Search by connection')}
            placeholder={t('Search by connection')}
            leftSection={<IconSearch size={16} aria-hidden />}
            value={typed}
            onChange={(event) => type(event.currentTarget.value)}
            style={{ flex: '1 1 220px' }}
            maw={340}
          />
          <Select
            aria-label={t('Kind')}
            placeholder={t('Any kind')}
            data={KINDS.map((value) => ({ value, label: kindWord(value) }))}
            value={search.kind ?? null}
            onChange={(value) => change({ kind: value ?? undefined })}
            clearable
            w={150}
            clearButtonProps={{ 'aria-label': t('Any kind') }}
          />
        </Group>
        <Chip.Group value={search.status ?? ''} onChange={(value) => change({ status: (value as string) || undefined })}>
          <Group gap={6} role="group" aria-label={t('Status')}>
            <Chip size="xs" value="">
              {t('All {count}', { count: all })}
            </Chip>
            {STATUSES.filter((status) => counts[status] || status === search.status).map((status) => (
              <Chip key={status} size="xs" value={status}>
                {statusWord(status)} {count(counts[status] ?? 0)}
              </Chip>
            ))}
          </Group>
        </Chip.Group>
        {workspaceId && (
          <JobsList
            query={query}
            before={search.before}
            setBefore={(before) => void navigate({ search: { ...search, before } })}
            named
            filtered={Boolean(search.status || search.kind || search.text)}
          />
        )}
      </Stack>
    </>
  );
}
