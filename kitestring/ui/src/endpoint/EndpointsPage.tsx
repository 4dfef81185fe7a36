/** The sources or the destinations of a workspace. */
import { Button, Card, Group, NativeSelect, Stack, Text, TextInput } from '@mantine/core';
import { IconDatabaseExport, IconDatabaseImport, IconPlus, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';

import { Pages } from '../list/Pages';
import { useSearchText } from '../list/useSearchText';
import { useWorkspace } from '../session/session';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { PageHeader } from '../shell/PageHeader';
import { plural, t } from '../text';
import { type EndpointFilter, type EndpointKind, overviewsQuery, PAGE } from './endpoints';
import { EndpointTable } from './EndpointTable';

const SEARCH_FROM = 8;

export const SourcesPage = () => <EndpointsPage kind="source" />;
export const DestinationsPage = () => <EndpointsPage kind="destination" />;

function textsOf(kind: EndpointKind) {
  return kind === 'source'
    ? {
        title: t('Sources'),
        icon: IconDatabaseExport,
        what: t('Where data comes from: a help desk, an API, a database.'),
        add: t('New source'),
        none: t('No source yet'),
        search: t('Search the sources'),
      }
    : {
        title: t('Destinations'),
        icon: IconDatabaseImport,
        what: t('Where data goes: a vector store, a database, files.'),
        add: t('New destination'),
        none: t('No destination yet'),
        search: t('Search the destinations'),
      };
}

function EndpointsPage({ kind }: { kind: EndpointKind }) {
  const { workspaceId, may } = useWorkspace();
  const navigate = useNavigate();
  const filter = useSearch({ strict: false }) as EndpointFilter;
  const { text = '', order = 'name', page = 1 } = filter;
  const change = (changes: EndpointFilter) => void navigate({ to: `/${kind}s`, search: { ...filter, page: undefined, ...changes }, replace: true });
  const [typed, type] = useSearchText(text, (next) => change({ text: next || undefined }));
  const overviews = useQuery(overviewsQuery(kind, workspaceId, { text, order, page }));
  const { data } = overviews;
  const texts = textsOf(kind);
  const empty = data !== undefined && data.total === 0 && text === '';
  // A page behind the last is empty; the last one is on its way.
  const rows = data && (data.total > 0 && data.data.length === 0 ? undefined : data.data);
  const add = may('editor') && (
    <Button component={Link} to={`/${kind}s/new`} leftSection={<IconPlus size={16} aria-hidden />}>
      {texts.add}
    </Button>
  );

  return (
    <>
      <PageHeader title={texts.title} note={texts.what}>
        {data && !empty && add}
      </PageHeader>
      {overviews.error && <ErrorNote error={overviews.error} retry={() => void overviews.refetch()} />}
      {overviews.isPending && <RowsSkeleton />}
      {empty && (
        <Card withBorder>
          <EmptyState icon={<texts.icon size={28} aria-hidden />} title={texts.none} action={add}>
            {texts.what} {t('Its credentials are encrypted on the server and never shown again.')}
          </EmptyState>
        </Card>
      )}
      {data && !empty && (
        <Stack gap="sm">
          <Group gap="xs">
            {(data.total > SEARCH_FROM || text !== '') && (
              <TextInput
                aria-label={texts.search}
                placeholder={t('Search by name or connector')}
                leftSection={<IconSearch size={16} aria-hidden />}
                value={typed}
                onChange={(event) => type(event.currentTarget.value)}
                style={{ flex: '1 1 240px' }}
                maw={420}
              />
            )}
            {data.total > 1 && (
              <NativeSelect
                hiddenFrom="sm"
                aria-label={t('Order')}
                data={[
                  { value: 'name', label: t('By name') },
                  { value: 'connector', label: t('By connector') },
                  { value: 'test', label: t('Failed tests first') },
                  { value: '-connections', label: t('Most connections first') },
                  { value: '-created', label: t('Newest first') },
                ]}
                value={order}
                onChange={({ currentTarget: { value } }) => change({ order: value === 'name' ? undefined : value })}
                style={{ flex: '1 1 150px' }}
                maw={240}
              />
            )}
            {data.failing > 0 && (
              <Text size="sm" c="dimmed" role="status">
                {plural(data.failing, '{count} failed its last test', '{count} failed their last test')}
              </Text>
            )}
          </Group>
          <EndpointTable kind={kind} label={texts.title} rows={rows} order={order} onSort={(next) => change({ order: next === 'name' ? undefined : next })} mayTest={may('runner')} />
          {data.total === 0 && <Text c="dimmed">{t('No match for “{text}”.', { text })}</Text>}
          <Pages
            total={data.total}
            size={PAGE}
            page={page}
            noun={kind === 'source' ? plural(data.total, '{count} source', '{count} sources') : plural(data.total, '{count} destination', '{count} destinations')}
            onPage={(next) => void navigate({ to: `/${kind}s`, search: { ...filter, page: next }, replace: next < page })}
          />
        </Stack>
      )}
    </>
  );
}
