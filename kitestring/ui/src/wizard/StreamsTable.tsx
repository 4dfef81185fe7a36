/** Choosing streams and how each is moved. Only what is seen is drawn: a source may have thousands. */
import { ActionIcon, Badge, Box, Button, Card, Checkbox, Group, NativeSelect, Stack, Text, TextInput, Tooltip } from '@mantine/core';
import { IconAdjustmentsHorizontal, IconAlertCircle, IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useDeferredValue, useMemo, useRef, useState } from 'react';

import { StreamDetails } from './StreamDetails';
import classes from './streams.module.css';
import type { StreamProperty } from '../api/schema.gen';
import { isIncremental, modeLabel, needsKey } from '../modes';
import { byDefault, type Chosen, lacks, offeredKey, withMode } from './streams';

export type Choice = Map<string, Chosen>;

export function StreamsTable({
  offered,
  choice,
  fresh,
  onChange,
}: {
  offered: StreamProperty[];
  choice: Choice;
  /** Keys of streams that were not there before. */
  fresh?: Set<string>;
  onChange: (choice: Choice) => void;
}) {
  const [words, setWords] = useState('');
  const [only, setOnly] = useState(false);
  const [details, setDetails] = useState<string | null>(null);
  const wanted = useDeferredValue(words).toLowerCase().split(/\s+/).filter(Boolean);
  const found = useMemo(
    () =>
      offered.filter((one) => {
        const key = offeredKey(one);
        return wanted.every((word) => key.toLowerCase().includes(word)) && (!only || choice.has(key));
      }),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [offered, wanted.join(' '), only, only && choice],
  );
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: found.length,
    getScrollElement: () => frame.current,
    estimateSize: () => 57,
    overscan: 8,
    getItemKey: (n) => offeredKey(found[n]!),
  });

  const chosenHere = found.filter((one) => choice.has(offeredKey(one))).length;
  const modes = useMemo(() => [...new Set(offered.flatMap((one) => one.syncModes))], [offered]);

  function put(one: StreamProperty, chosen: Chosen | undefined) {
    const next = new Map(choice);
    if (chosen) next.set(offeredKey(one), chosen);
    else next.delete(offeredKey(one));
    onChange(next);
  }

  function putAll(on: boolean) {
    const next = new Map(choice);
    for (const one of found) {
      const key = offeredKey(one);
      if (!on) next.delete(key);
      else if (!next.has(key)) next.set(key, byDefault(one));
    }
    onChange(next);
  }

  function setMode(mode: string) {
    const next = new Map(choice);
    for (const one of found) {
      const chosen = next.get(offeredKey(one));
      if (chosen && one.syncModes.includes(mode)) next.set(offeredKey(one), withMode(one, chosen, mode));
    }
    onChange(next);
  }

  const shown = details === null ? undefined : offered.find((one) => offeredKey(one) === details);
  return (
    <Stack gap="sm">
      <Group gap="sm">
        <TextInput
          aria-label="Search the streams"
          placeholder={`Search ${offered.length} streams`}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={words}
          onChange={(event) => setWords(event.currentTarget.value)}
          flex={1}
          miw={200}
        />
        <NativeSelect
          aria-label="Mode of all chosen streams"
          value=""
          data={[{ value: '', label: 'Set the mode of all chosen…' }, ...modes.map((mode) => ({ value: mode, label: modeLabel(mode) }))]}
          onChange={(event) => event.currentTarget.value && setMode(event.currentTarget.value)}
        />
      </Group>
      <Card withBorder padding={0}>
        <Group px="md" py="xs" justify="space-between" className={classes.head}>
          <Checkbox
            label={chosenHere === found.length && found.length > 0 ? 'Unselect all' : 'Select all'}
            checked={found.length > 0 && chosenHere === found.length}
            indeterminate={chosenHere > 0 && chosenHere < found.length}
            onChange={(event) => putAll(event.currentTarget.checked)}
          />
          <Group gap="sm">
            <Text size="sm" c="dimmed" className="numbers" aria-live="polite">
              {offered.filter((one) => choice.has(offeredKey(one))).length} of {offered.length} chosen
            </Text>
            <Button size="compact-sm" variant={only ? 'light' : 'default'} aria-pressed={only} onClick={() => setOnly(!only)}>
              Only chosen
            </Button>
          </Group>
        </Group>
        <Box
          ref={frame}
          className={classes.frame}
          h={Math.max(rows.getTotalSize(), 57)}
          role="list"
          aria-label="Streams"
          tabIndex={0}
        >
          <div style={{ height: rows.getTotalSize(), position: 'relative' }}>
            {rows.getVirtualItems().map((row) => {
              const one = found[row.index]!;
              const key = offeredKey(one);
              const chosen = choice.get(key);
              const missing = chosen ? lacks(one, chosen) : '';
              return (
                <div
                  key={row.key}
                  ref={rows.measureElement}
                  data-index={row.index}
                  role="listitem"
                  aria-setsize={found.length}
                  aria-posinset={row.index + 1}
                  className={classes.row}
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <Checkbox
                    aria-label={key}
                    checked={chosen !== undefined}
                    onChange={(event) => put(one, event.currentTarget.checked ? byDefault(one) : undefined)}
                  />
                  <div className={classes.name}>
                    <Text size="sm" fw={600} component="div" style={{ overflowWrap: 'anywhere' }}>
                      {one.streamnamespace && (
                        <Text span size="sm" c="dimmed">
                          {one.streamnamespace}.
                        </Text>
                      )}
                      {one.streamName}
                      {fresh?.has(key) && (
                        <Badge size="xs" variant="light" ml={6}>
                          new
                        </Badge>
                      )}
                    </Text>
                    <Text size="xs" c={missing ? 'var(--mantine-color-error)' : 'dimmed'}>
                      {missing ? (
                        <>
                          <IconAlertCircle size={12} aria-hidden style={{ verticalAlign: -2 }} /> {missing}
                        </>
                      ) : (
                        summary(one, chosen)
                      )}
                    </Text>
                  </div>
                  {chosen && (
                    <>
                      <NativeSelect
                        className={classes.mode}
                        size="xs"
                        aria-label={`Mode of ${key}`}
                        value={chosen.syncMode}
                        data={[...new Set([...one.syncModes, chosen.syncMode])].map((mode) => ({ value: mode, label: modeLabel(mode) }))}
                        onChange={(event) => put(one, withMode(one, chosen, event.currentTarget.value))}
                      />
                      <Tooltip label="Cursor, key and fields">
                        <ActionIcon variant="default" aria-label={`Cursor, key and fields of ${key}`} onClick={() => setDetails(key)}>
                          <IconAdjustmentsHorizontal size={16} aria-hidden />
                        </ActionIcon>
                      </Tooltip>
                    </>
                  )}
                </div>
              );
            })}
          </div>
          {found.length === 0 && (
            <Text p="md" c="dimmed" size="sm">
              {offered.length === 0 ? 'The source has no streams.' : 'None matches.'}
            </Text>
          )}
        </Box>
      </Card>
      {shown && choice.get(details!) && (
        <StreamDetails
          offered={shown}
          chosen={choice.get(details!)!}
          onChange={(chosen) => put(shown, chosen)}
          onClose={() => setDetails(null)}
        />
      )}
    </Stack>
  );
}

const path = (words: string[]) => words.join('.');

function summary(one: StreamProperty, chosen: Chosen | undefined): string {
  const mode = chosen?.syncMode ?? '';
  const cursor = chosen?.cursorField ?? one.defaultCursorField;
  const key = chosen?.primaryKey ?? one.sourceDefinedPrimaryKey;
  const fields = one.propertyFields.filter((field) => field.length === 1).length;
  const parts = [];
  if (key.length && (!chosen || needsKey(mode))) parts.push(`key ${key.map(path).join(', ')}`);
  if (cursor.length && (!chosen || isIncremental(mode))) parts.push(`cursor ${path(cursor)}`);
  if (fields) parts.push(chosen?.selectedFields ? `${chosen.selectedFields.length} of ${fields} fields` : `${fields} fields`);
  return parts.join(' · ');
}
