/** The streams of a new connection: all of them at first, each with its best sync mode. */
import { Button, Card, Group, Loader, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import type { Endpoint } from '../endpoint/endpoints';
import { ErrorNote } from '../shell/ErrorNote';
import { textFieldsOf } from '../streams/embedded';
import { EmbeddedFields } from '../streams/EmbeddedFields';
import { problemOf } from '../streams/problem';
import { StreamDetails } from '../streams/StreamDetails';
import { StreamsTable } from '../streams/StreamsTable';
import { type Choice, defaultConfig, offeredKey, offeredQuery } from '../streams/streams';
import { plural, t } from '../text';

export function StreamsStep({
  sourceId,
  destination,
  draft,
  onChange,
  onBack,
  onNext,
}: {
  sourceId: string;
  destination: Endpoint | undefined;
  /** What was chosen so far; undefined before the first change. */
  draft: Choice | undefined;
  onChange: (choice: Choice) => void;
  onBack: () => void;
  onNext: (choice: Choice) => void;
}) {
  const offered = useQuery({ ...offeredQuery(sourceId, destination?.id ?? '', true), enabled: destination !== undefined });
  const textFields = useMemo(() => textFieldsOf(destination?.configuration), [destination]);
  const problem = useMemo(() => problemOf(textFields, destination?.name ?? ''), [textFields, destination]);
  const choice = useMemo(() => {
    if (draft || !offered.data) return draft;
    const all = offered.data.map((stream) => [stream, defaultConfig(stream)] as const);
    // A stream with nothing to embed would stop each sync: it is not chosen until somebody wants it.
    const whole = all.filter(([stream, config]) => !problem(stream, config));
    return new Map((whole.length ? whole : all).map(([stream, config]) => [offeredKey(stream), config]));
  }, [draft, offered.data, problem]);
  if (offered.error) return <ErrorNote error={offered.error} retry={() => void offered.refetch()} />;
  if (!offered.data || !choice || !destination)
    return (
      <Card withBorder padding="xl">
        <Group justify="center">
          <Loader size="sm" aria-hidden />
          <Text role="status">{t('Reading the streams of the source…')}</Text>
        </Group>
      </Card>
    );
  // Those that were left out at first, and are still: what the user took away needs no reason.
  const unembedded = offered.data.filter((stream) => !choice.has(offeredKey(stream)) && problem(stream, defaultConfig(stream))).length;
  const wrong = offered.data.filter((stream) => {
    const chosen = choice.get(offeredKey(stream));
    return chosen && problem(stream, chosen);
  }).length;
  return (
    <Stack>
      <EmbeddedFields sourceId={sourceId} destination={destination} editable />
      {unembedded > 0 && (
        <Text size="sm" c="dimmed">
          {plural(unembedded, 'One stream has none of the embedded fields and is not chosen: nothing of it could be searched.', '{count} streams have none of the embedded fields and are not chosen: nothing of them could be searched.')}
        </Text>
      )}
      <StreamsTable
        offered={offered.data}
        choice={choice}
        onChange={onChange}
        problem={problem}
        note={(stream) => (problem(stream, defaultConfig(stream)) ? t('no searchable text') : '')}
        details={(stream, chosen, change) => (
          <StreamDetails sourceId={sourceId} destinationId={destination.id} stream={stream} chosen={chosen} textFields={textFields} editable onChange={change} />
        )}
      />
      <Group justify="space-between" className="save-bar">
        <Button variant="default" onClick={onBack}>
          {t('Back')}
        </Button>
        <Group gap="sm">
          {wrong > 0 && (
            <Text size="sm" c="var(--mantine-color-error)">
              {plural(wrong, 'One stream has a problem.', '{count} streams have a problem.')}
            </Text>
          )}
          <Button disabled={choice.size === 0 || wrong > 0} onClick={() => onNext(choice)}>
            {t('Next')}
          </Button>
        </Group>
      </Group>
    </Stack>
  );
}
