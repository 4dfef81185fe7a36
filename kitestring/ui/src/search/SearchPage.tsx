/** A collection asked by meaning, with the embedder that filled it. */
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
import { filterOf, linkOf, restOf, titleOf } from './hit';

const route = getRouteApi('/shell/search');

export interface Asked {
  in?: string;
  text?: string;
  where?: string;
  limit?: number;
}

export function SearchPage() {
  const { workspaceId } = useWorkspace();
  const asked = route.useSearch();
  const navigate = route.useNavigate();
  const all = useQuery(endpointsQuery('destination', workspaceId));
  const connectors = useQuery(connectorsQuery('destination', workspaceId));
  const kinds = new Set((connectors.data ?? []).filter((one) => one.searchable).map((one) => one.definitionId));
  const searchable = (all.data ?? []).filter((one) => kinds.has(one.definitionId));
  const place = searchable.find((one) => one.id === asked.in) ?? searchable[0];
  const [text, setText] = useState(asked.text ?? '');
  const [where, setWhere] = useState(asked.where ?? '');
  const [limit, setLimit] = useState(asked.limit ?? 10);
  const found = useQuery({
    queryKey: ['search', place?.id, asked.text, asked.where, asked.limit],
    queryFn: async () =>
      (
        await api.post<SearchHits>(`${OWN}/destinations/${place!.id}/search`, {
          text: asked.text,
          where: filterOf(asked.where ?? ''),
          limit: asked.limit ?? 10,
        })
      ).data,
    enabled: place !== undefined && Boolean(asked.text),
    retry: false,
    staleTime: 0,
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    if (text.trim() === asked.text && where.trim() === (asked.where ?? '') && limit === (asked.limit ?? 10)) void found.refetch();
    void navigate({ search: { in: place?.id, text: text.trim(), where: where.trim() || undefined, limit: limit === 10 ? undefined : limit } });
  }

  return (
    <>
      <PageHeader title="Search" note="Ask a collection by meaning, as an application would." />
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
            Connect a source to a vector store: what was synced can be asked here in your own words.
          </EmptyState>
        </Paper>
      )}
      {place && (
        <Stack>
          <form onSubmit={submit} role="search">
            <Group gap="xs" align="flex-end">
              <Select
                label="In"
                data={searchable.map((one) => ({ value: one.id, label: one.name }))}
                value={place.id}
                onChange={(value) => value && void navigate({ search: (now) => ({ ...now, in: value }), replace: true })}
                allowDeselect={false}
                w={200}
              />
              <TextInput
                label="What do you look for?"
                placeholder="parcel arrived broken"
                value={text}
                onChange={(event) => setText(event.currentTarget.value)}
                required
                style={{ flex: '2 1 260px' }}
                autoFocus
              />
              <TextInput
                label="Only where"
                placeholder="status=new"
                value={where}
                onChange={(event) => setWhere(event.currentTarget.value)}
                style={{ flex: '1 1 160px' }}
              />
              <NumberInput label="At most" value={limit} onChange={(value) => setLimit(Number(value) || 10)} min={1} max={100} allowDecimal={false} w={90} />
              <Button type="submit" loading={found.isFetching} leftSection={<IconSearch size={16} aria-hidden />}>
                Search
              </Button>
            </Group>
          </form>
          {found.error && <ErrorNote error={found.error} />}
          {found.isFetching && !found.data && <Skeleton h={200} role="status" aria-label="Searching" />}
          {found.data && (
            <>
              <Text size="sm" c="dimmed" role="status">
                {found.data.length === 0 ? 'Nothing was found.' : `${found.data.length} nearest, best first.`}
              </Text>
              <Stack component="ol" gap="sm" p={0} m={0} style={{ listStyle: 'none' }}>
                {found.data.map((hit, number) => (
                  <Found key={`${number} ${String(hit.id)}`} hit={hit} />
                ))}
              </Stack>
            </>
          )}
        </Stack>
      )}
    </>
  );
}

function Found({ hit }: { hit: SearchHit }) {
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
