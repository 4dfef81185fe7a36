/** Semantic search of a collection, with the embedder that filled it. */
import { Anchor, Badge, Button, Card, Code, Group, NumberInput, Paper, Select, Skeleton, Spoiler, Stack, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';

import { endpointsQuery, connectorsQuery } from '../endpoint/endpoints';
import { api, OWN } from '../api/client';
import type { SearchHit, SearchHits } from '../api/schema.gen';
import { useWorkspace } from '../session/session';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { PageHeader } from '../shell/PageHeader';
import { parseFilter, linkOf, restOf, titleOf } from './hit';

const route = getRouteApi('/shell/search');

export interface SearchParams {
  in?: string;
  text?: string;
  where?: string;
  limit?: number;
}

export function SearchPage() {
  const { workspaceId } = useWorkspace();
  const params = route.useSearch();
  const navigate = route.useNavigate();
  const all = useQuery(endpointsQuery('destination', workspaceId));
  const connectors = useQuery(connectorsQuery('destination', workspaceId));
  const kinds = new Set((connectors.data ?? []).filter((connector) => connector.searchable).map((connector) => connector.definitionId));
  const searchable = (all.data ?? []).filter((destination) => kinds.has(destination.definitionId));
  const selected = searchable.find((destination) => destination.id === params.in) ?? searchable[0];
  const [text, setText] = useState(params.text ?? '');
  const [where, setWhere] = useState(params.where ?? '');
  const [limit, setLimit] = useState(params.limit ?? 10);
  const results = useQuery({
    queryKey: ['search', selected?.id, params.text, params.where, params.limit],
    queryFn: async () =>
      (
        await api.post<SearchHits>(`${OWN}/destinations/${selected!.id}/search`, {
          text: params.text,
          where: parseFilter(params.where ?? ''),
          limit: params.limit ?? 10,
        })
      ).data,
    enabled: selected !== undefined && Boolean(params.text),
    retry: false,
    staleTime: 0,
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    if (text.trim() === params.text && where.trim() === (params.where ?? '') && limit === (params.limit ?? 10)) void results.refetch();
    void navigate({ search: { in: selected?.id, text: text.trim(), where: where.trim() || undefined, limit: limit === 10 ? undefined : limit } });
  }

  return (
    <>
      <PageHeader title="Search" note="Search a collection by meaning, as an application does." />
      {all.error && <ErrorNote error={all.error} retry={() => void all.refetch()} />}
      {connectors.error && <ErrorNote error={connectors.error} retry={() => void connectors.refetch()} />}
      {all.data && connectors.data && searchable.length === 0 && (
        <Paper withBorder>
          <EmptyState
            icon={<IconSearch size={28} aria-hidden />}
            title="Nothing to search yet"
            action={
              <Button component={Link} to="/connections/new">
                New connection
              </Button>
            }
          >
            Connect a source to a vector store: then search the synced data here in your own words.
          </EmptyState>
        </Paper>
      )}
      {selected && (
        <Stack>
          <form onSubmit={submit} role="search">
            <Group gap="xs" align="flex-end">
              <Select
                label="In"
                data={searchable.map((destination) => ({ value: destination.id, label: destination.name }))}
                value={selected.id}
                onChange={(value) => value && void navigate({ search: (previous) => ({ ...previous, in: value }), replace: true })}
                allowDeselect={false}
                w={200}
              />
              <TextInput
                label="What are you looking for?"
                placeholder="parcel arrived broken"
                value={text}
                onChange={(event) => setText(event.currentTarget.value)}
                required
                style={{ flex: '2 1 260px' }}
                autoFocus
              />
              <TextInput
                label="Filter"
                placeholder="status=new"
                value={where}
                onChange={(event) => setWhere(event.currentTarget.value)}
                style={{ flex: '1 1 160px' }}
              />
              <NumberInput label="Limit" value={limit} onChange={(value) => setLimit(Number(value) || 10)} min={1} max={100} allowDecimal={false} w={90} />
              <Button type="submit" loading={results.isFetching} leftSection={<IconSearch size={16} aria-hidden />}>
                Search
              </Button>
            </Group>
          </form>
          {results.error && <ErrorNote error={results.error} />}
          {results.isFetching && !results.data && <Skeleton h={200} role="status" aria-label="Searching" />}
          {results.data && (
            <>
              <Text size="sm" c="dimmed" role="status">
                {results.data.length === 0 ? 'No results.' : `${results.data.length} nearest, best first.`}
              </Text>
              <Stack component="ol" gap="sm" p={0} m={0} style={{ listStyle: 'none' }}>
                {results.data.map((hit, number) => (
                  <HitCard key={`${number} ${String(hit.id)}`} hit={hit} />
                ))}
              </Stack>
            </>
          )}
        </Stack>
      )}
    </>
  );
}

function HitCard({ hit }: { hit: SearchHit }) {
  const title = titleOf(hit);
  const link = linkOf(hit);
  const rest = restOf(hit);
  const text = String(hit.text ?? '');
  return (
    <Card component="li" withBorder padding="md">
      <Group justify="space-between" gap="xs" mb={4} wrap="nowrap" align="flex-start">
        <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
          {link ? (
            <Anchor href={link} target="_blank" rel="noreferrer noopener" inherit>
              {title}
            </Anchor>
          ) : (
            title
          )}
        </Text>
        <Group gap={6} wrap="nowrap" flex="none">
          {Boolean(hit.stream) && (
            <Badge variant="default" tt="none" radius="sm" maw={140} title={String(hit.stream)}>
              {String(hit.stream)}
            </Badge>
          )}
          {typeof hit.distance === 'number' && (
            <Text size="sm" c="dimmed" className="numbers" title="Distance in the collection's metric">
              {hit.distance.toFixed(3)}
            </Text>
          )}
        </Group>
      </Group>
      {text && text !== title && (
        <Spoiler maxHeight={96} showLabel="Show all" hideLabel="Show less">
          <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
            {text}
          </Text>
        </Spoiler>
      )}
      {rest.length > 0 && (
        <Group gap={6} mt={8}>
          {rest.map(([name, value]) => (
            <Code key={name} style={{ overflowWrap: 'anywhere' }}>
              {name}: {value}
            </Code>
          ))}
        </Group>
      )}
    </Card>
  );
}
