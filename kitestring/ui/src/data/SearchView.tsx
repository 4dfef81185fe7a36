/** A search by meaning, with the embedder that filled the collection. */
import { Anchor, Badge, Button, Card, Code, Group, Mark, NumberInput, Spoiler, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';

import { OWN } from '../api/client';
import type { DataChunk, SearchHit } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { exact } from '../shell/format';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { plural, t } from '../text';
import { useWritingJob, WritingNote } from './busy';
import { CopyCode } from './CopyCode';
import { type DataParams, type Measure, highlighted, measureOfSearch, searchBody, searchQuery } from './data';
import { chunkOf, linkOf, restOf, titleOf } from './record';

interface Props {
  destinationId: string;
  params: DataParams;
  ask: (changes: Partial<DataParams>) => void;
  open: (chunk: DataChunk) => void;
}

export function SearchView({ destinationId, params, ask, open }: Props) {
  const [text, setText] = useState(params.text ?? '');
  const [where, setWhere] = useState(params.where ?? '');
  const [limit, setLimit] = useState(params.limit ?? 10);
  // Back and Forward change what is asked for.
  useEffect(() => {
    setText(params.text ?? '');
    setWhere(params.where ?? '');
    setLimit(params.limit ?? 10);
  }, [params.text, params.where, params.limit]);
  const results = useQuery(searchQuery(destinationId, params));
  const writing = useWritingJob(results);
  const measure = measureOfSearch(results.data);

  function submit(event: FormEvent) {
    event.preventDefault();
    if (text.trim() === params.text && where.trim() === (params.where ?? '') && limit === (params.limit ?? 10)) void results.refetch();
    ask({ text: text.trim(), where: where.trim() || undefined, limit: limit === 10 ? undefined : limit });
  }

  return (
    <Stack>
      <form onSubmit={submit} role="search">
        <Group gap="xs" align="flex-end">
          <TextInput
            label={t('What are you looking for?')}
            placeholder={t('parcel arrived broken')}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            required
            style={{ flex: '2 1 260px' }}
          />
          <TextInput
            label={t('Filter')}
            placeholder="status=new"
            value={where}
            onChange={(event) => setWhere(event.currentTarget.value)}
            style={{ flex: '1 1 160px' }}
            spellCheck={false}
            autoCapitalize="off"
          />
          <NumberInput label={t('Limit')} value={limit} onChange={(value) => setLimit(Number(value) || 10)} min={1} max={100} allowDecimal={false} w={90} />
          <Button type="submit" loading={results.isFetching} leftSection={<IconSearch size={16} aria-hidden />}>
            {t('Search')}
          </Button>
        </Group>
      </form>
      {writing !== undefined ? <WritingNote job={writing} old={results.data !== undefined} /> : results.error ? <ErrorNote error={results.error} /> : null}
      {results.isFetching && !results.data && writing === undefined && <RowsSkeleton label={t('Searching')} />}
      {results.data && (
        <>
          <Group justify="space-between" gap="xs">
            <Text size="sm" c="dimmed" role="status">
              {[
                results.data.data.length === 0 ? nothing(params.where) : plural(results.data.data.length, 'The nearest chunk.', 'The {count} nearest chunks, best first.'),
                measureNote(measure),
                results.data.hybrid ? t('Words are compared too.') : '',
                results.data.lastSyncAtMs === null ? '' : t('Last sync: {time}.', { time: exact(results.data.lastSyncAtMs) }),
              ].filter(Boolean).join(' ')}
            </Text>
            <CopyCode path={`${OWN}/destinations/${destinationId}/search`} body={searchBody(params)} list="data" />
          </Group>
          <Stack component="ol" gap="sm" p={0} m={0} style={{ listStyle: 'none' }} aria-label={t('Results')}>
            {results.data.data.map((hit, number) => (
              <HitCard key={`${number} ${String(hit.id)}`} hit={hit} measure={measure} places={results.data.highlights[number] ?? []} open={open} />
            ))}
          </Stack>
        </>
      )}
    </Stack>
  );
}

/** A filter by a field that no chunk has is no error: the collection's fields are not fixed. */
function nothing(where: string | undefined): string {
  return where ? t('No chunk passes the filter. Check the names and values of its fields.') : t('No results.');
}

function measureNote(measure: Measure): string {
  if (measure === 'distance') return t('A smaller distance is a better match.');
  return measure === 'similarity' ? t('A larger score is a better match.') : '';
}

interface HitProps {
  hit: SearchHit;
  measure: Measure;
  /** The places of words of the question in the text. */
  places: readonly (readonly number[])[];
  open: (chunk: DataChunk) => void;
}

function HitCard({ hit, measure, places, open }: HitProps) {
  const title = titleOf(hit);
  const link = linkOf(hit);
  const rest = restOf(hit);
  // The title is above: a text that begins with it goes on from there.
  const whole = String(hit.text ?? '');
  const text = whole.startsWith(title) ? whole.slice(title.length).trimStart() : whole;
  return (
    <Card component="li" withBorder padding="md">
      <Group justify="space-between" gap="xs" mb={4} wrap="nowrap" align="flex-start">
        <UnstyledButton onClick={() => open(chunkOf(hit))} miw={0}>
          <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
            {title}
          </Text>
        </UnstyledButton>
        <Group gap={6} wrap="nowrap" flex="none">
          {Boolean(hit.stream) && (
            <Badge variant="default" tt="none" radius="sm" maw={140} title={String(hit.stream)}>
              {String(hit.stream)}
            </Badge>
          )}
          {typeof hit.distance === 'number' && (
            <Text size="sm" c="dimmed" className="numbers" title={t("Distance in the collection's metric")}>
              {measure === 'distance' ? t('distance {number}', { number: hit.distance.toFixed(3) }) : t('score {number}', { number: hit.distance.toFixed(3) })}
            </Text>
          )}
        </Group>
      </Group>
      {text && text !== title && (
        <Spoiler maxHeight={96} showLabel={t('Show all')} hideLabel={t('Show less')} styles={{ control: { fontSize: 'var(--mantine-font-size-sm)' } }}>
          <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
            {highlighted(text, places, Array.from(whole).length - Array.from(text).length).map((part, number) => (number % 2 ? <Mark key={number}>{part}</Mark> : part))}
          </Text>
        </Spoiler>
      )}
      {(rest.length > 0 || link) && (
        <Group gap={6} mt={8}>
          {rest.map(([name, value]) => (
            <Code key={name} style={{ overflowWrap: 'anywhere' }}>
              {name}: {value}
            </Code>
          ))}
          {link && (
            <Anchor href={link} target="_blank" rel="noreferrer noopener" size="sm">
              {t('Open at the source')}
            </Anchor>
          )}
        </Group>
      )}
    </Card>
  );
}
