/** The connections of a workspace: how many are in each condition, filters, order, and actions on many at once. */
import { Button, Paper, Stack } from '@mantine/core';
import { IconArrowsRightLeft, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { lazy, Suspense, useMemo, useState } from 'react';

import type { ConnectionOverview } from '../api/schema.gen';
import { Pages } from '../list/Pages';
import { useWorkspace } from '../session/session';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { notifyError, notifySuccess } from '../shell/notify';
import { PageHeader } from '../shell/PageHeader';
import { plural, t } from '../text';
import { type BulkAction, type BulkOutcome, useBulk } from './bulk';
import { ConditionTabs } from './ConditionTabs';
import { ConnectionTable } from './ConnectionTable';
import { FilterBar } from './FilterBar';
import { allMatching, countsQuery, type Filter, overviewsQuery, PAGE } from './overviews';

// What only a selection needs is no part of the first page.
const BulkBar = lazy(() => import('./BulkBar').then((all) => ({ default: all.BulkBar })));
const BulkReport = lazy(() => import('./BulkBar').then((all) => ({ default: all.BulkReport })));
const TagDialog = lazy(() => import('./TagDialog').then((all) => ({ default: all.TagDialog })));

const route = getRouteApi('/shell/connections');
const NONE = new Map<string, string>();

export function ConnectionsPage() {
  const { workspaceId, may } = useWorkspace();
  const filter = route.useSearch();
  const navigate = route.useNavigate();
  const change = (changes: Filter) =>
    void navigate({ search: (previous) => ({ ...previous, page: undefined, ...changes }), replace: true });
  const overviews = useQuery(overviewsQuery(workspaceId, filter));
  const counts = useQuery(countsQuery(workspaceId, filter)).data;
  const rights = useMemo(() => ({ run: may('runner'), edit: may('editor') }), [may]);
  const [selected, setSelected] = useState(NONE);
  const [tagging, setTagging] = useState<{ names: Map<string, string>; tagged: string[] } | null>(null);
  const [outcome, setOutcome] = useState<BulkOutcome | null>(null);
  const bulk = useBulk((result) => {
    setTagging(null);
    const [only] = result.outcomes;
    if (result.outcomes.length > 1) setOutcome(result);
    else if (only && only.status !== 'done') notifyError(new Error(`${only.name}: ${only.message}. ${only.hint}`.trim()));
    else if (only) notifySuccess(SINGLE[result.action](only.name));
  });
  const act = (connection: ConnectionOverview, action: BulkAction) =>
    bulk.mutate({ action, names: new Map([[connection.connectionId, connection.name]]) });
  const many = (action: BulkAction) => {
    setOutcome(null);
    bulk.mutate({ action, names: selected });
  };
  const selectAll = () => {
    if (workspaceId) allMatching(workspaceId, filter).then(setSelected, notifyError);
  };
  const filtered = Boolean(filter.text || filter.condition || filter.tag || filter.owner);
  const total = overviews.data?.total ?? 0;
  // A page beyond the last is empty; the last one is on its way.
  const waiting = total > 0 && overviews.data?.data.length === 0;
  const add = (
    <Button component={Link} to="/connections/new" leftSection={<IconPlus size={16} aria-hidden />}>
      {t('New connection')}
    </Button>
  );

  return (
    <>
      <PageHeader title={t('Connections')} note={t('Sources, destinations and the status of their syncs.')}>
        {rights.edit && (total > 0 || filtered) && add}
      </PageHeader>
      {overviews.error && <ErrorNote error={overviews.error} retry={() => void overviews.refetch()} />}
      {overviews.data && total === 0 && !filtered ? (
        <Paper withBorder>
          <EmptyState
            icon={<IconArrowsRightLeft size={28} aria-hidden />}
            title={t('Connect your first source')}
            action={rights.edit && add}
          >
            {t(
              'A connection copies the streams of a source, such as your help desk, into a destination, such as a vector store, and keeps them up to date. Choose a source, a destination and the streams. The first sync can start within a minute.',
            )}{' '}
            {t('Without an account, begin with a connector of the category Sample data.')}
          </EmptyState>
        </Paper>
      ) : (
        <Stack gap="sm">
          <ConditionTabs counts={counts} chosen={filter.condition} />
          {workspaceId && (
            <FilterBar
              workspaceId={workspaceId}
              filter={filter}
              counts={counts}
              onChange={change}
              onReplace={(replacement) => void navigate({ search: replacement })}
            />
          )}
          <Suspense fallback={null}>
            {selected.size > 0 && (
              <BulkBar
                selected={selected.size}
                matching={total}
                rights={rights}
                pending={bulk.isPending ? bulk.variables.action : undefined}
                onAction={many}
                onTags={() => setTagging({ names: selected, tagged: [] })}
                onAll={selectAll}
                onNone={() => setSelected(NONE)}
              />
            )}
            {outcome && <BulkReport outcome={outcome} onClose={() => setOutcome(null)} />}
          </Suspense>
          <ConnectionTable
            connections={overviews.error ? [] : waiting ? undefined : overviews.data?.data}
            rights={rights}
            order={filter.order ?? 'name'}
            onSort={(order) => change({ order: order === 'name' ? undefined : order })}
            selected={selected}
            onSelect={setSelected}
            busy={bulk.isPending ? bulk.variables.names : undefined}
            onAct={act}
            onTags={(connection) =>
              setTagging({
                names: new Map([[connection.connectionId, connection.name]]),
                tagged: connection.tags.map((tag) => tag.tagId),
              })
            }
          />
          <Pages
            total={total}
            size={PAGE}
            page={filter.page ?? 1}
            noun={plural(total, '{count} connection', '{count} connections')}
            onPage={(page) => void navigate({ search: (previous) => ({ ...previous, page }), replace: page < (filter.page ?? 1) })}
          />
        </Stack>
      )}
      <Suspense fallback={null}>
        {tagging && workspaceId && (
          <TagDialog
            workspaceId={workspaceId}
            connections={tagging.names.size}
            tagged={tagging.tagged}
            pending={bulk.isPending}
            onApply={(action, tagIds) => bulk.mutate({ action, names: tagging.names, tagIds })}
            onClose={() => setTagging(null)}
          />
        )}
      </Suspense>
    </>
  );
}

const SINGLE: Record<BulkAction, (name: string) => string> = {
  sync: (name) => t('Sync of {name} started.', { name }),
  cancel: () => t('The job stops at the next checkpoint.'),
  pause: (name) => t('{name} was paused.', { name }),
  resume: (name) => t('{name} was resumed.', { name }),
  addTags: (name) => t('The tags of {name} were saved.', { name }),
  removeTags: (name) => t('The tags of {name} were saved.', { name }),
};
