/** Questions to what was synced: answers with citations that lead to the records, in a conversation. */
import { Alert, Button, Divider, Group, Paper, Select, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { IconInfoCircle, IconMessageQuestion } from '@tabler/icons-react';
import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { type FormEvent, type KeyboardEvent, useState } from 'react';

import { api, OWN } from '../api/client';
import type { AnswerModels, AnswerPassage } from '../api/schema.gen';
import { loadChunk, streamsQuery } from '../data/data';
import { CHOICES, DestinationChoice } from '../data/DestinationChoice';
import { parseFilter, withCondition } from '../data/filter';
import { type OpenRow, RowPanel } from '../data/RowPanel';
import { connectorsQuery, overviewQuery, overviewsQuery } from '../endpoint/endpoints';
import { useWorkspace } from '../session/session';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { PageHeader } from '../shell/PageHeader';
import { t } from '../text';
import { AnswerView } from './AnswerView';
import { useConversation } from './useConversation';

interface AskParams {
  /** The id of the destination. */
  in?: string;
  stream?: string;
  where?: string;
}

const route = getRouteApi('/shell/ask');

const modelsQuery = queryOptions({
  queryKey: ['answers', 'models'],
  queryFn: () => api.get<AnswerModels>(`${OWN}/answers/models`),
  staleTime: 60_000,
});

export function AskPage() {
  const { workspaceId } = useWorkspace();
  const params: AskParams = route.useSearch();
  const navigate = route.useNavigate();
  const first = useQuery(overviewsQuery('destination', workspaceId, { browsable: true }, CHOICES));
  const named = useQuery({ ...overviewQuery('destination', params.in ?? ''), enabled: params.in !== undefined });
  const connectors = useQuery(connectorsQuery('destination', workspaceId));
  const searchable = new Set((connectors.data ?? []).filter((connector) => connector.searchable).map((connector) => connector.definitionId));
  const listed = first.data?.data ?? [];
  // The first question puts the destination into the address: the page must not load it again and forget the conversation.
  const destination =
    params.in === undefined ? (listed.find(({ definitionId }) => searchable.has(definitionId)) ?? listed[0]) : (listed.find(({ id }) => id === params.in) ?? named.data);
  const wrong = [first, named, connectors].find((query) => query.error);
  if (wrong) return <ErrorNote error={wrong.error} retry={() => void wrong.refetch()} />;
  const loaded = first.data !== undefined && connectors.data !== undefined && (destination !== undefined || params.in === undefined || !named.isPending);
  return (
    <>
      <PageHeader title={t('Ask')} note={t('Answers from your synced data, with their sources.')}>
        {destination && <DestinationChoice chosen={destination} workspaceId={workspaceId} choose={(id) => void navigate({ search: { in: id } })} />}
      </PageHeader>
      {!loaded && <RowsSkeleton label={t('Loading')} />}
      {loaded && !(destination && searchable.has(destination.definitionId)) && (
        <Paper withBorder>
          <EmptyState
            icon={<IconMessageQuestion size={28} aria-hidden />}
            title={destination ? t('This destination cannot be asked') : t('No data yet')}
            action={
              <Button component={Link} to="/connections/new">
                {t('New connection')}
              </Button>
            }
          >
            {destination ? t('Questions need a vector store. Choose one, or sync into one.') : t('Sync into a vector store: then ask questions here.')}
          </EmptyState>
        </Paper>
      )}
      {loaded && destination && searchable.has(destination.definitionId) && (
        <Conversation
          key={destination.id}
          destinationId={destination.id}
          params={params}
          go={(changes) => void navigate({ search: { ...params, in: destination.id, ...changes }, replace: true })}
        />
      )}
    </>
  );
}

interface ConversationProps {
  destinationId: string;
  params: AskParams;
  go: (changes: AskParams) => void;
}

function Conversation({ destinationId, params, go }: ConversationProps) {
  const { turns, ask, stop, clear, running } = useConversation(destinationId);
  const [question, setQuestion] = useState('');
  const [where, setWhere] = useState(params.where ?? '');
  const [opened, setOpened] = useState<OpenRow | null>(null);
  const models = useQuery(modelsQuery);
  const streams = useQuery(streamsQuery(destinationId));
  const client = useQueryClient();
  const navigate = useNavigate();

  function submit(event?: FormEvent) {
    event?.preventDefault();
    const words = question.trim();
    if (!words || running) return;
    const filter = parseFilter(where);
    go({ where: where.trim() || undefined });
    setQuestion('');
    void ask(words, { ...(params.stream && { stream: params.stream }), ...(filter !== null && { where: filter }) });
  }

  function typed(event: KeyboardEvent) {
    if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      submit();
    }
  }

  const open = (passage: AnswerPassage) => void loadChunk(client, destinationId, passage).then((row) => setOpened({ row }));

  return (
    <Stack maw={860}>
      {models.data?.model === null && (
        <Alert variant="light" color="blue" role="note" icon={<IconInfoCircle aria-hidden />} title={t('This server has no language model')}>
          <Text size="sm">{t('Answers consist of sentences of the records. The operator can set a model with KITESTRING_ANSWER_URL.')}</Text>
        </Alert>
      )}
      {turns.map((turn, number) => (
        <Stack key={number}>
          <AnswerView turn={turn} open={open} />
          <Divider />
        </Stack>
      ))}
      <form onSubmit={submit} role="search">
        <Stack gap="xs">
          <Textarea
            label={turns.length === 0 ? t('Your question') : t('Next question')}
            placeholder={t('How long is an account locked?')}
            value={question}
            onChange={(event) => setQuestion(event.currentTarget.value)}
            onKeyDown={typed}
            autosize
            minRows={2}
            maxRows={8}
            maxLength={20_000}
          />
          <Group gap="xs" align="flex-end">
            <Select
              label={t('Stream')}
              placeholder={t('All')}
              data={[...new Set((streams.data?.data ?? []).map(({ name }) => name))]}
              value={params.stream ?? null}
              onChange={(stream) => go({ stream: stream ?? undefined })}
              clearable
              clearButtonProps={{ 'aria-label': t('All streams') }}
              style={{ flex: '1 1 160px' }}
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
            {running ? (
              <Button type="button" variant="default" onClick={stop}>
                {t('Stop')}
              </Button>
            ) : (
              <Button type="submit" disabled={!question.trim()} leftSection={<IconMessageQuestion size={16} aria-hidden />}>
                {t('Ask')}
              </Button>
            )}
            {turns.length > 0 && (
              <Button type="button" variant="subtle" onClick={clear}>
                {t('New conversation')}
              </Button>
            )}
          </Group>
        </Stack>
      </form>
      <RowPanel
        destinationId={destinationId}
        opened={opened}
        close={() => setOpened(null)}
        show={(row) => setOpened({ row })}
        filter={(field, value) => void navigate({ to: '/data', search: { in: destinationId, where: withCondition('', field, value) } })}
      />
    </Stack>
  );
}
