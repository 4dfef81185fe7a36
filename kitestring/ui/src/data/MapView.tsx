/** A sample of chunks in a plane: near chunks are near. Hovering shows the text, a click opens the chunk. */
import { Box, Group, Paper, Skeleton, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, useMemo, useState } from 'react';

import type { DataChunk, DataPoint, DataStream } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { currentLanguage, plural, t } from '../text';
import { useWritingJob, WritingNote } from './busy';
import { CopyCode } from './CopyCode';
import { type DataParams, dataPath, mapBody, mapQuery, streamsQuery } from './data';
import classes from './data.module.css';

const COLOURS = ['kite', 'orange', 'grape', 'green', 'blue', 'red', 'yellow', 'pink', 'indigo', 'gray'];
const MARGIN = 1.06;
/** The picture is wider than high. */
const WIDE = 1.6;

interface Props {
  destinationId: string;
  streams: readonly DataStream[];
  params: DataParams;
  open: (chunk: DataChunk) => void;
}

export function MapView({ destinationId, streams, params, open }: Props) {
  const map = useQuery(mapQuery(destinationId, streams, params));
  const note = useQuery(streamsQuery(destinationId)).data?.note;
  const writing = useWritingJob(map);
  if (writing !== undefined && !map.data) return <WritingNote job={writing} />;
  if (map.error && writing === undefined) return <ErrorNote error={map.error} retry={() => void map.refetch()} />;
  if (!map.data) return <Skeleton h={420} role="status" aria-label={t('Drawing the map')} />;
  if (map.data.points.length === 0) return <Text c="dimmed">{params.where ? t('No chunk passes the filter. Check the names and values of its fields.') : t('No chunks.')}</Text>;
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="xs">
        <Text size="sm" c="dimmed" role="status">
          {plural(map.data.points.length, '{count} chunk', '{count} chunks')}. {!note && t('Similar chunks are near each other.')} {t('The map shows {share} of the differences between the vectors.', { share: percent(map.data.kept) })}
        </Text>
        <CopyCode path={dataPath(destinationId, 'map')} body={mapBody(streams, params)} list="points" />
      </Group>
      <Scatter points={map.data.points} names={Object.keys(map.data.sizes)} open={open} />
      <Group gap="md" component="ul" p={0} m={0} style={{ listStyle: 'none' }} aria-label={t('Colours')}>
        {Object.entries(map.data.sizes).map(([name, size], number) => (
          <Group key={name} component="li" gap={6} wrap="nowrap">
            <Box className={classes.dot} bg={colourOf(number)} aria-hidden />
            <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
              {name}
            </Text>
            <Text size="sm" c="dimmed" className="numbers">
              {size}
            </Text>
          </Group>
        ))}
      </Group>
    </Stack>
  );
}

function Scatter({ points, names, open }: { points: readonly DataPoint[]; names: readonly string[]; open: (chunk: DataChunk) => void }) {
  const [current, setCurrent] = useState<number | null>(null);
  // The arrow keys go from left to right.
  const order = useMemo(() => points.map((_, index) => index).sort((left, right) => points[left]!.x - points[right]!.x), [points]);
  const point = current === null ? undefined : points[current];

  function key(event: KeyboardEvent) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      const place = current === null ? (step > 0 ? -1 : 0) : order.indexOf(current);
      setCurrent(order[(place + step + order.length) % order.length]!);
      event.preventDefault();
    } else if (event.key === 'Enter' && point) open(chunkOf(point));
    else if (event.key === 'Escape') setCurrent(null);
  }

  return (
    <Box pos="relative">
      <svg
        className={classes.map}
        viewBox={`${-WIDE * MARGIN} ${-MARGIN} ${2 * WIDE * MARGIN} ${2 * MARGIN}`}
        role="application"
        aria-label={t('Map of chunks. Use the arrow keys to select a chunk, and Enter to open it.')}
        tabIndex={0}
        onKeyDown={key}
        onMouseLeave={() => setCurrent(null)}
      >
        {points.map((each, index) => (
          <circle
            key={each.chunkId}
            className={classes.point}
            cx={each.x * WIDE}
            cy={-each.y}
            r={index === current ? 0.03 : 0.018}
            fill={colourOf(names.indexOf(each.stream ?? ''))}
            data-current={index === current || undefined}
            onMouseEnter={() => setCurrent(index)}
            onClick={() => open(chunkOf(each))}
          />
        ))}
      </svg>
      <div className="unseen" aria-live="polite">
        {point && `${point.stream ?? ''}: ${point.text}`}
      </div>
      {point && (
        <Paper className={classes.tip} withBorder shadow="md" p="xs" style={placeOf(point)} aria-hidden>
          <Text size="xs" c="dimmed">
            {point.stream}
          </Text>
          <Text size="sm" lineClamp={4} style={{ overflowWrap: 'anywhere' }}>
            {point.text || t('The text is not stored.')}
          </Text>
        </Paper>
      )}
    </Box>
  );
}

/** Beside the point, on the side with more room. */
function placeOf(point: DataPoint): Record<string, string> {
  const left = (point.x / MARGIN + 1) * 50;
  const top = (-point.y / MARGIN + 1) * 50;
  return {
    ...(left > 50 ? { right: `${100 - left + 1.5}%` } : { left: `${left + 1.5}%` }),
    ...(top > 50 ? { bottom: `${100 - top + 1.5}%` } : { top: `${top + 1.5}%` }),
  };
}

function colourOf(number: number): string {
  const colour = COLOURS[(number < 0 ? COLOURS.length - 1 : number) % COLOURS.length]!;
  return `var(--mantine-color-${colour}-6)`;
}

/** The panel asks for the rest of the chunk. */
function chunkOf(point: DataPoint): DataChunk {
  return { chunkId: point.chunkId, recordId: point.recordId, stream: point.stream, text: point.text, number: null, values: {}, cut: [], texts: [], deleted: false };
}

function percent(share: number): string {
  return new Intl.NumberFormat(currentLanguage(), { style: 'percent', maximumFractionDigits: 0 }).format(share);
}
