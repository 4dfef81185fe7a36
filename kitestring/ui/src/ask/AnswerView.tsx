/** A question, its answer with citations, and the passages it comes from. */
import { Alert, Anchor, Badge, Button, Card, Group, Loader, Mark, Stack, Text, UnstyledButton } from '@mantine/core';
import { IconAlertTriangle, IconInfoCircle } from '@tabler/icons-react';

import type { AnswerPassage } from '../api/schema.gen';
import { highlighted } from '../data/data';
import { ErrorNote } from '../shell/ErrorNote';
import { t } from '../text';
import { partsOf, type Turn } from './answer';

interface Props {
  turn: Turn;
  open: (passage: AnswerPassage) => void;
}

export function AnswerView({ turn, open }: Props) {
  const { answer, passages, text } = turn;
  const cited = new Set(answer?.citations ?? []);
  const citedPassages = answer === null || !answer.answered ? [] : passages.filter(({ number }) => cited.has(number));
  const rest = answer === null ? [] : passages.filter((passage) => !citedPassages.includes(passage));
  return (
    <Stack component="article" gap="sm" aria-label={turn.question}>
      <Text fw={650} size="lg" component="h2" m={0} style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
        {turn.question}
      </Text>
      {text && (
        <Text component="div" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }} aria-busy={turn.running}>
          {partsOf(text, passages.length).map((part, index) =>
            typeof part === 'number' ? (
              <Anchor
                key={index}
                component="button"
                type="button"
                fw={600}
                style={{ verticalAlign: 'baseline' }}
                aria-label={t('Source {number}', { number: part })}
                onClick={() => open(passages[part - 1]!)}
              >
                [{part}]
              </Anchor>
            ) : (
              part
            ),
          )}
        </Text>
      )}
      {turn.running && (
        <Group gap="xs" role="status">
          <Loader size="xs" />
          <Text size="sm" c="dimmed">
            {passages.length === 0 ? t('Searching') : t('Writing the answer')}
          </Text>
        </Group>
      )}
      {turn.error !== null && (
        <>
          {text && (
            <Alert color="yellow" variant="light" role="note" icon={<IconAlertTriangle aria-hidden />} title={t('This is not the whole answer')}>
              <Text size="sm">{t('It broke off. Do not rely on it.')}</Text>
            </Alert>
          )}
          <ErrorNote error={turn.error} />
        </>
      )}
      {citedPassages.length > 0 && (
        <Stack component="ol" gap="xs" p={0} m={0} style={{ listStyle: 'none' }} aria-label={t('Sources')}>
          {citedPassages.map((passage) => (
            <Source key={passage.number} passage={passage} open={open} />
          ))}
        </Stack>
      )}
      {rest.length > 0 && (
        // A closed spoiler would keep its buttons in the order of the Tab key.
        <details>
          <Text component="summary" size="sm" style={{ cursor: 'pointer' }}>
            {t('The passages that were found but not cited')}
          </Text>
          <Stack component="ol" gap="xs" p={0} m={0} mt="xs" style={{ listStyle: 'none' }} aria-label={t('Other passages')}>
            {rest.map((passage) => (
              <Source key={passage.number} passage={passage} open={open} />
            ))}
          </Stack>
        </details>
      )}
      {answer && (
        <Stack gap={4}>
          {answer.notes.map((note) => (
            <Group key={note} gap={6} wrap="nowrap" align="flex-start" role="note">
              <IconInfoCircle size={16} style={{ flex: 'none', marginTop: 2 }} aria-hidden />
              <Text size="sm" c="dimmed">
                {note}
              </Text>
            </Group>
          ))}
          {answer.inputTokens !== null && answer.outputTokens !== null && (
            <Text size="sm" c="dimmed" className="numbers">
              {t('{model}: {read} tokens read, {written} written', { model: answer.model ?? '', read: answer.inputTokens, written: answer.outputTokens })}
              {answer.costUsd !== null && ` · ${t('{cost} USD', { cost: answer.costUsd.toFixed(4) })}`}
            </Text>
          )}
        </Stack>
      )}
    </Stack>
  );
}

function Source({ passage, open }: { passage: AnswerPassage; open: (passage: AnswerPassage) => void }) {
  return (
    <Card component="li" withBorder padding="sm">
      <Group justify="space-between" gap="xs" wrap="nowrap" align="flex-start" mb={4}>
        <UnstyledButton onClick={() => open(passage)} miw={0}>
          <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
            [{passage.number}] {passage.title || passage.recordId || passage.chunkId}
          </Text>
        </UnstyledButton>
        <Badge variant="default" tt="none" radius="sm" maw={140} flex="none" title={passage.stream}>
          {passage.stream}
        </Badge>
      </Group>
      <Text size="sm" c="dimmed" lineClamp={3} style={{ overflowWrap: 'anywhere' }}>
        {highlighted(passage.text, passage.highlights, 0).map((part, index) => (index % 2 ? <Mark key={index}>{part}</Mark> : part))}
      </Text>
      {passage.url && (
        <Group mt={6}>
          <Button component="a" href={passage.url} target="_blank" rel="noreferrer noopener" size="compact-xs" variant="light">
            {t('Open at the source')}
          </Button>
        </Group>
      )}
    </Card>
  );
}
