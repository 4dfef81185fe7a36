/** The streams that a document proposes: which of them the connector gets. */
import { Button, Card, Checkbox, Group, List, Stack, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useDeferredValue, useState } from 'react';

import { ErrorNote } from '../shell/ErrorNote';
import { plural, t } from '../text';
import classes from './builder.module.css';
import type { Beginning } from './projects';

const SEARCH_FROM = 10;

interface Props {
  beginning: Beginning;
  busy: boolean;
  error: unknown;
  back: () => void;
  create: (names: string[]) => void;
}

export function StreamChoice({ beginning, busy, error, back, create }: Props) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set(beginning.streams.filter((stream) => stream.included).map((stream) => stream.name)));
  const [text, setText] = useState('');
  const words = useDeferredValue(text).toLowerCase().split(/\s+/).filter(Boolean);
  const visible = beginning.streams.filter((stream) => words.every((word) => `${stream.name} ${stream.path} ${stream.summary}`.toLowerCase().includes(word)));
  const toggle = (names: readonly string[], on: boolean) => {
    const next = new Set(chosen);
    for (const name of names) on ? next.add(name) : next.delete(name);
    setChosen(next);
  };
  const all = visible.length > 0 && visible.every((stream) => chosen.has(stream.name));
  return (
    <Stack>
      <Group justify="space-between" gap="sm">
        <Checkbox
          label={t('All')}
          checked={all}
          indeterminate={!all && visible.some((stream) => chosen.has(stream.name))}
          onChange={(event) => toggle(visible.map((stream) => stream.name), event.currentTarget.checked)}
        />
        {beginning.streams.length > SEARCH_FROM && (
          <TextInput
            aria-label={t('Search the streams')}
            placeholder={t('Search the streams')}
            leftSection={<IconSearch size={16} aria-hidden />}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            w={{ base: '100%', xs: 300 }}
          />
        )}
      </Group>
      <Card withBorder padding={0}>
        <ul className={classes.rows} aria-label={t('Streams of the document')}>
          {visible.map((stream) => (
            <li key={stream.name} className={classes.offer}>
              <Checkbox
                label={stream.name}
                checked={chosen.has(stream.name)}
                onChange={(event) => toggle([stream.name], event.currentTarget.checked)}
                styles={{ label: { fontWeight: 600 } }}
              />
              <Text size="sm" ff="monospace" className={classes.wrap}>
                {stream.method} {stream.path}
              </Text>
              <Text size="sm" c="dimmed" lineClamp={2}>
                {stream.summary}
              </Text>
            </li>
          ))}
        </ul>
      </Card>
      {beginning.notes.length > 0 && (
        <List size="sm">
          {beginning.notes.map((note) => (
            <List.Item key={note}>{note}</List.Item>
          ))}
        </List>
      )}
      {error !== null && error !== undefined && <ErrorNote error={error} />}
      <Group>
        <Button loading={busy} disabled={chosen.size === 0} onClick={() => create(beginning.streams.map(({ name }) => name).filter((name) => chosen.has(name)))}>
          {plural(chosen.size, 'Create with {count} stream', 'Create with {count} streams')}
        </Button>
        <Button variant="default" disabled={busy} onClick={back}>
          {t('Back')}
        </Button>
      </Group>
    </Stack>
  );
}
