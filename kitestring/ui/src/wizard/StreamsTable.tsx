/** Choose streams and their sync modes. Virtualized: a source may have thousands. */
import { ActionIcon, Badge, Box, Button, Card, Checkbox, Group, NativeSelect, Stack, Text, TextInput, Tooltip } from '@mantine/core';
import { IconAdjustmentsHorizontal, IconAlertCircle, IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useDeferredValue, useMemo, useRef, useState } from 'react';

import { StreamDetails } from './StreamDetails';
import classes from './streams.module.css';
import type { StreamProperty } from '../api/schema.gen';
import { isIncremental, modeLabel, needsKey } from '../modes';
import { defaultConfig, type StreamConfig, missingSetting, offeredKey, withMode } from './streams';

export type Choice = Map<string, StreamConfig>;

export function StreamsTable({
  offered,
  choice,
  newKeys,
  onChange,
}: {
  offered: StreamProperty[];
  choice: Choice;
  /** Keys of streams that are new in the source. */
  newKeys?: Set<string>;
  onChange: (choice: Choice) => void;
}) {
  const [searchText, setSearchText] = useState('');
  const [chosenOnly, setChosenOnly] = useState(false);
  const [details, setDetails] = useState<string | null>(null);
  const terms = useDeferredValue(searchText).toLowerCase().split(/\s+/).filter(Boolean);
  const matches = useMemo(
    () =>
      offered.filter((stream) => {
        const key = offeredKey(stream);
        return terms.every((term) => key.toLowerCase().includes(term)) && (!chosenOnly || choice.has(key));
      }),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [offered, terms.join(' '), chosenOnly, chosenOnly && choice],
  );
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: matches.length,
    getScrollElement: () => frame.current,
    estimateSize: () => 57,
    overscan: 8,
    getItemKey: (n) => offeredKey(matches[n]!),
  });

  const chosenMatches = matches.filter((stream) => choice.has(offeredKey(stream))).length;
  const modes = useMemo(() => [...new Set(offered.flatMap((stream) => stream.syncModes))], [offered]);

  function setStream(stream: StreamProperty, chosen: StreamConfig | undefined) {
    const next = new Map(choice);
    if (chosen) next.set(offeredKey(stream), chosen);
    else next.delete(offeredKey(stream));
    onChange(next);
  }

  function setAll(on: boolean) {
    const next = new Map(choice);
    for (const stream of matches) {
      const key = offeredKey(stream);
      if (!on) next.delete(key);
      else if (!next.has(key)) next.set(key, defaultConfig(stream));
    }
    onChange(next);
  }

  function setMode(mode: string) {
    const next = new Map(choice);
    for (const stream of matches) {
      const chosen = next.get(offeredKey(stream));
      if (chosen && stream.syncModes.includes(mode)) next.set(offeredKey(stream), withMode(stream, chosen, mode));
    }
    onChange(next);
  }

  const detailsStream = details === null ? undefined : offered.find((stream) => offeredKey(stream) === details);
  return (
    <Stack gap="sm">
      <Group gap="sm">
        <TextInput
          aria-label="Search the streams"
          placeholder={`Search ${offered.length} streams`}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={searchText}
          onChange={(event) => setSearchText(event.currentTarget.value)}
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
            label={chosenMatches === matches.length && matches.length > 0 ? 'Unselect all' : 'Select all'}
            checked={matches.length > 0 && chosenMatches === matches.length}
            indeterminate={chosenMatches > 0 && chosenMatches < matches.length}
            onChange={(event) => setAll(event.currentTarget.checked)}
          />
          <Group gap="sm">
            <Text size="sm" c="dimmed" className="numbers" aria-live="polite">
              {offered.filter((stream) => choice.has(offeredKey(stream))).length} of {offered.length} chosen
            </Text>
            <Button size="compact-sm" variant={chosenOnly ? 'light' : 'default'} aria-pressed={chosenOnly} onClick={() => setChosenOnly(!chosenOnly)}>
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
              const stream = matches[row.index]!;
              const key = offeredKey(stream);
              const chosen = choice.get(key);
              const missing = chosen ? missingSetting(stream, chosen) : '';
              return (
                <div
                  key={row.key}
                  ref={rows.measureElement}
                  data-index={row.index}
                  role="listitem"
                  aria-setsize={matches.length}
                  aria-posinset={row.index + 1}
                  className={classes.row}
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <Checkbox
                    aria-label={key}
                    checked={chosen !== undefined}
                    onChange={(event) => setStream(stream, event.currentTarget.checked ? defaultConfig(stream) : undefined)}
                  />
                  <div className={classes.name}>
                    <Text size="sm" fw={600} component="div" style={{ overflowWrap: 'anywhere' }}>
                      {stream.streamnamespace && (
                        <Text span size="sm" c="dimmed">
                          {stream.streamnamespace}.
                        </Text>
                      )}
                      {stream.streamName}
                      {newKeys?.has(key) && (
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
                        summary(stream, chosen)
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
                        data={[...new Set([...stream.syncModes, chosen.syncMode])].map((mode) => ({ value: mode, label: modeLabel(mode) }))}
                        onChange={(event) => setStream(stream, withMode(stream, chosen, event.currentTarget.value))}
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
          {matches.length === 0 && (
            <Text p="md" c="dimmed" size="sm">
              {offered.length === 0 ? 'The source has no streams.' : 'No match.'}
            </Text>
          )}
        </Box>
      </Card>
      {detailsStream && choice.get(details!) && (
        <StreamDetails
          offered={detailsStream}
          chosen={choice.get(details!)!}
          onChange={(chosen) => setStream(detailsStream, chosen)}
          onClose={() => setDetails(null)}
        />
      )}
    </Stack>
  );
}

const path = (names: string[]) => names.join('.');

function summary(stream: StreamProperty, chosen: StreamConfig | undefined): string {
  const mode = chosen?.syncMode ?? '';
  const cursor = chosen?.cursorField ?? stream.defaultCursorField;
  const key = chosen?.primaryKey ?? stream.sourceDefinedPrimaryKey;
  const fields = stream.propertyFields.filter((field) => field.length === 1).length;
  const parts = [];
  if (key.length && (!chosen || needsKey(mode))) parts.push(`key ${key.map(path).join(', ')}`);
  if (cursor.length && (!chosen || isIncremental(mode))) parts.push(`cursor ${path(cursor)}`);
  if (fields) parts.push(chosen?.selectedFields ? `${chosen.selectedFields.length} of ${fields} fields` : `${fields} fields`);
  return parts.join(' · ');
}
