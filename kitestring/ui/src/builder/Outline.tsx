/** The parts of a connector: its settings, its inputs, its authentication, its streams. */
import { ActionIcon, Group, Select, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconAdjustmentsHorizontal, IconFileCode, IconForms, IconLock, IconPlus, IconTable } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useDeferredValue, useRef, useState } from 'react';

import { plural, t } from '../text';
import classes from './builder.module.css';
import { partKey, type Part } from './parts';

const SEARCH_FROM = 12;
const ROW = 36;

interface Props {
  part: Part;
  streams: { name: string; part: Part; defects: number }[];
  /** The defects of the other parts, by their keys. */
  defects: Readonly<Record<string, number>>;
  choose: (part: Part) => void;
  /** Add a stream; undefined for those who only read. */
  add?: () => void;
}

export function Outline({ part, streams, defects, choose, add }: Props) {
  const narrow = useMediaQuery('(max-width: 75em)', undefined, { getInitialValueInEffect: false });
  const places = [
    { part: { kind: 'settings' } as Part, label: t('Settings'), icon: IconAdjustmentsHorizontal },
    { part: { kind: 'inputs' } as Part, label: t('Inputs'), icon: IconForms },
    { part: { kind: 'authentication' } as Part, label: t('Authentication'), icon: IconLock },
    { part: { kind: 'whole' } as Part, label: t('All fields'), icon: IconFileCode },
  ];
  if (narrow)
    return (
      <Group gap="xs" wrap="nowrap">
        <Select
          aria-label={t('Part of the connector')}
          data={[
            { group: t('Connector'), items: places.map((place) => ({ value: partKey(place.part), label: place.label })) },
            { group: t('Streams'), items: streams.map((stream) => ({ value: partKey(stream.part), label: stream.name })) },
          ]}
          value={partKey(part)}
          onChange={(key) => {
            const next = [...places, ...streams].find((place) => partKey(place.part) === key);
            if (next) choose(next.part);
          }}
          allowDeselect={false}
          searchable={streams.length > SEARCH_FROM}
          limit={300}
          flex={1}
        />
        {add && <AddStream add={add} />}
      </Group>
    );
  return (
    <nav className={classes.outline} aria-label={t('Parts of the connector')}>
      {places.map((place) => (
        <UnstyledButton key={place.label} className={classes.part} aria-current={partKey(place.part) === partKey(part)} onClick={() => choose(place.part)}>
          <place.icon size={17} stroke={1.7} aria-hidden />
          <span>{place.label}</span>
          <DefectMark count={defects[partKey(place.part)] ?? 0} />
        </UnstyledButton>
      ))}
      <Group justify="space-between" mt="sm" mb={2} pl={10} wrap="nowrap">
        <Text size="sm" fw={600}>
          {t('Streams')}{' '}
          <Text span size="sm" c="dimmed">
            {streams.length}
          </Text>
        </Text>
        {add && <AddStream add={add} />}
      </Group>
      <Streams part={part} streams={streams} choose={choose} />
    </nav>
  );
}

function DefectMark({ count }: { count: number }) {
  if (count === 0) return null;
  return (
    <Text component="span" size="xs" c="var(--mantine-color-error)" ml="auto" role="img" aria-label={plural(count, '{count} defect', '{count} defects')}>
      ●
    </Text>
  );
}

function AddStream({ add }: { add: () => void }) {
  return (
    <ActionIcon variant="subtle" size="lg" aria-label={t('Add a stream')} onClick={add}>
      <IconPlus size={18} aria-hidden />
    </ActionIcon>
  );
}

/** Only the streams in sight are drawn: a connector may have hundreds. */
function Streams({ part, streams, choose }: Pick<Props, 'part' | 'streams' | 'choose'>) {
  const [text, setText] = useState('');
  const words = useDeferredValue(text).toLowerCase();
  const visible = streams.filter((stream) => stream.name.toLowerCase().includes(words));
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: visible.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 8 });
  return (
    <>
      {streams.length > SEARCH_FROM && (
        <TextInput size="xs" mx={6} mb={4} aria-label={t('Search the streams')} placeholder={t('Search the streams')} value={text} onChange={(event) => setText(event.currentTarget.value)} />
      )}
      <div ref={scroller} className={classes.streams} tabIndex={-1}>
        <div style={{ height: rows.getTotalSize(), position: 'relative' }}>
          {rows.getVirtualItems().map((row) => {
            const stream = visible[row.index]!;
            return (
              <UnstyledButton
                key={row.key}
                className={classes.part}
                style={{ position: 'absolute', top: row.start, left: 0, height: ROW - 2 }}
                aria-current={partKey(stream.part) === partKey(part)}
                onClick={() => choose(stream.part)}
              >
                <IconTable size={16} stroke={1.6} aria-hidden />
                <span>{stream.name}</span>
                <DefectMark count={stream.defects} />
              </UnstyledButton>
            );
          })}
        </div>
      </div>
    </>
  );
}
