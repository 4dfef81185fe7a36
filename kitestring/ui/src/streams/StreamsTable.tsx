/** Streams with their status and configuration in one table. Virtual above 100 rows: a source may have thousands. */
import { Button, Card, Group, NativeSelect, Stack, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';

import type { LastStreamResult, StreamProperty } from '../api/schema.gen';
import { modeLabel } from '../modes';
import { t } from '../text';
import { StreamRow } from './StreamRow';
import classes from './streams.module.css';
import { type Choice, defaultConfig, offeredKey, type StreamConfig, withMode } from './streams';

const MAX_PLAIN_ROWS = 100;
const ROW_PX = 57;

export interface StreamsTableProps {
  offered: StreamProperty[];
  choice: Choice;
  onChange: (choice: Choice) => void;
  editable?: boolean;
  /** Keys of streams that are new in the source, and of those that it has no longer. */
  newKeys?: Set<string>;
  goneKeys?: Set<string>;
  /** The last results of the streams that were synced. */
  results?: Map<string, LastStreamResult>;
  /** What is wrong with a chosen stream; empty if nothing. */
  problem: (stream: StreamProperty, chosen: StreamConfig) => string;
  /** Why a stream that is not chosen was left out; empty for no reason. */
  note?: (stream: StreamProperty) => string;
  /** The menu of a stream. */
  actions?: (key: string) => ReactNode;
  /** Actions on the chosen streams that match the search. */
  bulk?: (keys: string[]) => ReactNode;
  /** The inside of an opened stream. */
  details: (stream: StreamProperty, chosen: StreamConfig, change: (chosen: StreamConfig) => void) => ReactNode;
  /** The stream that is open at first. */
  opened?: string;
}

export function StreamsTable(props: StreamsTableProps) {
  const { offered, choice, onChange, editable = true, newKeys, goneKeys, results, problem, note, actions, bulk, details, opened } = props;
  const [searchText, setSearchText] = useState('');
  const [chosenOnly, setChosenOnly] = useState(false);
  const [open, setOpen] = useState<string | undefined>(opened);
  const words = useDeferredValue(searchText).toLowerCase().split(/\s+/).filter(Boolean).join(' ');
  const matches = useMemo(
    () =>
      offered.filter((stream) => {
        const key = offeredKey(stream);
        return words.split(' ').every((word) => key.toLowerCase().includes(word)) && (!chosenOnly || choice.has(key));
      }),
    // While all streams are shown a changed choice filters nothing.
    [offered, words, chosenOnly, chosenOnly && choice],
  );
  const frame = useRef<HTMLDivElement>(null);
  const virtual = matches.length > MAX_PLAIN_ROWS;
  const rows = useVirtualizer({
    count: virtual ? matches.length : 0,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
    getItemKey: (n) => offeredKey(matches[n]!),
  });
  useEffect(() => {
    const position = matches.findIndex((stream) => offeredKey(stream) === opened);
    if (virtual && position > 0) rows.scrollToIndex(position, { align: 'start' });
    // Only when the page opens at a stream.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [opened]);

  const chosenMatches = matches.filter((stream) => choice.has(offeredKey(stream)));
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
    for (const stream of chosenMatches)
      if (stream.syncModes.includes(mode)) next.set(offeredKey(stream), withMode(stream, next.get(offeredKey(stream))!, mode));
    onChange(next);
  }

  const draw = (stream: StreamProperty) => {
    const key = offeredKey(stream);
    const chosen = choice.get(key);
    const isOpen = open === key;
    return (
      <StreamRow
        stream={stream}
        chosen={chosen}
        editable={editable}
        isNew={newKeys?.has(key) ?? false}
        isGone={goneKeys?.has(key) ?? false}
        problem={chosen ? problem(stream, chosen) : ''}
        note={chosen ? '' : (note?.(stream) ?? '')}
        withResult={results !== undefined}
        result={results?.get(key)}
        actions={actions && choice.has(key) ? actions(key) : undefined}
        open={isOpen}
        onOpen={() => setOpen(isOpen ? undefined : key)}
        onChange={(next) => setStream(stream, next)}
      >
        {isOpen && details(stream, chosen ?? defaultConfig(stream), (next) => setStream(stream, next))}
      </StreamRow>
    );
  };

  return (
    <Stack gap="sm">
      <Group gap="sm">
        <TextInput
          aria-label={t('Search the streams')}
          placeholder={t('Search {count} streams', { count: offered.length })}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={searchText}
          onChange={(event) => setSearchText(event.currentTarget.value)}
          flex={1}
          miw={200}
        />
        {editable && offered.length > 1 && (
          <NativeSelect
            aria-label={t('Mode of all chosen streams')}
            value=""
            data={[{ value: '', label: t('Set the mode of all chosen…') }, ...modes.map((mode) => ({ value: mode, label: modeLabel(mode) }))]}
            onChange={(event) => event.currentTarget.value && setMode(event.currentTarget.value)}
          />
        )}
        {bulk?.(chosenMatches.map(offeredKey))}
      </Group>
      <Card withBorder padding={0}>
        <Group px="md" py="xs" justify="space-between" className={classes.head}>
          {editable ? (
            <Group gap="xs">
              <Button size="compact-sm" variant="default" disabled={chosenMatches.length === matches.length} onClick={() => setAll(true)}>
                {t('Select all')}
              </Button>
              <Button size="compact-sm" variant="default" disabled={chosenMatches.length === 0} onClick={() => setAll(false)}>
                {t('Unselect all')}
              </Button>
            </Group>
          ) : (
            <span />
          )}
          <Group gap="sm">
            <Text size="sm" c="dimmed" className="numbers" aria-live="polite">
              {t('{chosen} of {all} chosen', { chosen: offered.filter((stream) => choice.has(offeredKey(stream))).length, all: offered.length })}
            </Text>
            <Button size="compact-sm" variant={chosenOnly ? 'light' : 'default'} aria-pressed={chosenOnly} onClick={() => setChosenOnly(!chosenOnly)}>
              {t('Chosen only')}
            </Button>
          </Group>
        </Group>
        {virtual ? (
          <div ref={frame} className={classes.virtual} role="region" aria-label={t('Streams')} tabIndex={0}>
            <div role="list" style={{ height: rows.getTotalSize(), position: 'relative' }}>
              {rows.getVirtualItems().map((row) => (
                <div
                  key={row.key}
                  ref={rows.measureElement}
                  data-index={row.index}
                  role="listitem"
                  aria-setsize={matches.length}
                  aria-posinset={row.index + 1}
                  className={`${classes.row} ${classes.placed}`}
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  {draw(matches[row.index]!)}
                </div>
              ))}
            </div>
          </div>
        ) : (
          <div ref={frame} role="list" aria-label={t('Streams')}>
            {matches.map((stream) => (
              <div key={offeredKey(stream)} role="listitem" className={classes.row}>
                {draw(stream)}
              </div>
            ))}
          </div>
        )}
        {matches.length === 0 && (
          <Text p="md" c="dimmed" size="sm">
            {offered.length === 0 ? t('The source has no streams.') : t('No stream matches.')}
          </Text>
        )}
      </Card>
    </Stack>
  );
}
