/** The streams of a connection with their last results; virtualized, because there may be thousands. */
import { Button, Checkbox, Group, Paper, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef, useState } from 'react';

import type { ConnectionDetail } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';
import { useActions } from '../connections/useActions';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { count } from '../shell/format';
import { Backfill } from './Backfill';
import { StreamRow } from './StreamRow';
import { clearDialog, refreshDialog } from './dialogs';

const ROW = 64;

export function StreamsTab({ connection, run, edit }: { connection: ConnectionDetail; run: boolean; edit: boolean }) {
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const [backfillStream, setBackfillStream] = useState<string | null>(null);
  const { invalidate } = useActions(connection);
  const scroller = useRef<HTMLDivElement>(null);
  const streams = useMemo(
    () => connection.streams.filter((stream) => stream.key.toLowerCase().includes(text.trim().toLowerCase())),
    [connection.streams, text],
  );
  const rows = useVirtualizer({
    count: streams.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 8,
  });
  const busy = connection.job !== null && ACTIVE.includes(connection.job.status);
  const names = [...chosen].filter((key) => connection.streams.some((stream) => stream.key === key));
  const all = streams.length > 0 && streams.every((stream) => chosen.has(stream.key));

  function toggle(key: string) {
    setChosen((previous) => {
      const next = new Set(previous);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  }
  const refresh = (keys: string[]) => setConfirmation(refreshDialog(connection, keys, invalidate));
  const clear = (keys: string[]) => setConfirmation(clearDialog(connection, keys, invalidate));

  return (
    <>
      <Group mb="sm" gap="xs">
        <TextInput
          aria-label="Search streams"
          placeholder="Search streams"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          style={{ flex: '1 1 200px' }}
          maw={340}
        />
        {names.length > 0 && (
          <>
            <Text size="sm" c="dimmed">
              {count(names.length)} chosen
            </Text>
            {run && (
              <Button size="xs" variant="default" disabled={busy} onClick={() => refresh(names)}>
                Refresh …
              </Button>
            )}
            {edit && (
              <Button size="xs" variant="default" c="var(--mantine-color-error)" disabled={busy} onClick={() => clear(names)}>
                Clear …
              </Button>
            )}
          </>
        )}
      </Group>
      <Paper withBorder style={{ overflow: 'hidden' }}>
        {run && (
          <Group px="md" py={8} className="panel-row" gap="sm">
            <Checkbox
              size="xs"
              label={text ? 'All matches' : 'All streams'}
              checked={all}
              indeterminate={!all && names.length > 0}
              onChange={() => setChosen(all ? new Set() : new Set(streams.map((stream) => stream.key)))}
            />
          </Group>
        )}
        <div ref={scroller} tabIndex={0} role="region" aria-label="Streams" style={{ maxHeight: '65vh', overflow: 'auto' }}>
          <div role="list" style={{ height: rows.getTotalSize(), position: 'relative' }}>
            {rows.getVirtualItems().map((item) => {
              const stream = streams[item.index]!;
              return (
                <div
                  key={stream.key}
                  role="listitem"
                  aria-setsize={streams.length}
                  aria-posinset={item.index + 1}
                  data-index={item.index}
                  ref={rows.measureElement}
                  className="panel-row"
                  style={{ position: 'absolute', insetInline: 0, top: 0, transform: `translateY(${item.start}px)` }}
                >
                  <StreamRow
                    stream={stream}
                    chosen={chosen.has(stream.key)}
                    busy={busy}
                    run={run}
                    edit={edit}
                    onToggle={toggle}
                    onRefresh={refresh}
                    onClear={clear}
                    onBackfill={setBackfillStream}
                  />
                </div>
              );
            })}
          </div>
        </div>
        {streams.length === 0 && (
          <Text c="dimmed" size="sm" ta="center" py="xl">
            No stream matches “{text}”.
          </Text>
        )}
      </Paper>
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
      <Backfill connection={connection} stream={backfillStream} onClose={() => setBackfillStream(null)} />
    </>
  );
}
