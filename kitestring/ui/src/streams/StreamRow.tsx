/** A stream in a line: whether it is synced, how, and its last result; opened, its fields and mappers below. */
import { Badge, Checkbox, Group, NativeSelect, Stack, Text, UnstyledButton } from '@mantine/core';
import { IconAlertCircle, IconChevronRight } from '@tabler/icons-react';
import { memo, type ReactNode, useId } from 'react';

import type { LastStreamResult, StreamProperty } from '../api/schema.gen';
import { isIncremental, modeLabel } from '../modes';
import { duration, figureName, short, size } from '../shell/format';
import { StatusBadge } from '../shell/StatusBadge';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import { mapperWords } from './mappers';
import classes from './streams.module.css';
import { defaultConfig, offeredKey, type StreamConfig, withMode } from './streams';

interface Props {
  stream: StreamProperty;
  chosen: StreamConfig | undefined;
  editable: boolean;
  isNew: boolean;
  isGone: boolean;
  problem: string;
  /** Why it was left out. */
  note: string;
  withResult: boolean;
  result: LastStreamResult | undefined;
  actions: ReactNode;
  open: boolean;
  onOpen: () => void;
  onChange: (chosen: StreamConfig | undefined) => void;
  children: ReactNode;
}

export function StreamRow({ stream, chosen, editable, isNew, isGone, problem, note, withResult, result, actions, open, onOpen, onChange, children }: Props) {
  const key = offeredKey(stream);
  const panel = useId();
  return (
    <div className={open ? classes.open : undefined}>
      <div className={classes.line}>
        {editable ? (
          <Checkbox
            aria-label={key}
            checked={chosen !== undefined}
            onChange={(event) => onChange(event.currentTarget.checked ? defaultConfig(stream) : undefined)}
          />
        ) : (
          <span />
        )}
        <div>
          <UnstyledButton className={classes.name} aria-expanded={open} aria-controls={panel} onClick={onOpen}>
            <Group gap={6} wrap="nowrap" align="center">
              <IconChevronRight size={15} aria-hidden className={classes.chevron} />
              <Text span size="sm" fw={600} className={classes.label}>
                {stream.streamnamespace && (
                  <Text span size="sm" c="dimmed">
                    {stream.streamnamespace}.
                  </Text>
                )}
                {stream.streamName}
              </Text>
              {isNew && (
                <Badge size="sm" variant="light" tt="none" styles={{ root: { flexShrink: 0 } }}>
                  {t('new')}
                </Badge>
              )}
              {isGone && (
                <Badge size="sm" variant="light" color="orange" tt="none" styles={{ root: { flexShrink: 0 } }}>
                  {t('removed from the source')}
                </Badge>
              )}
            </Group>
          </UnstyledButton>
          <Text size="xs" c={problem ? 'var(--mantine-color-error)' : 'dimmed'} pl={21} role={problem ? 'alert' : undefined}>
            {problem ? (
              <>
                <IconAlertCircle size={12} aria-hidden style={{ verticalAlign: -2 }} /> {problem}
              </>
            ) : (
              [note, summary(stream, chosen)].filter(Boolean).join(' · ')
            )}
          </Text>
        </div>
        {withResult ? <div className={classes.result}>{chosen && <Result result={result} />}</div> : <span hidden />}
        {chosen ? (
          <div className={classes.mode}>
            {editable ? (
              <NativeSelect
                size="xs"
                aria-label={t('Mode of {stream}', { stream: key })}
                value={chosen.syncMode}
                data={[...new Set([...stream.syncModes, chosen.syncMode])].map((mode) => ({ value: mode, label: modeLabel(mode) }))}
                onChange={(event) => onChange(withMode(stream, chosen, event.currentTarget.value))}
              />
            ) : (
              <Text size="sm">{modeLabel(chosen.syncMode)}</Text>
            )}
          </div>
        ) : (
          <span className={classes.mode} hidden />
        )}
        <div className={classes.actions}>{actions}</div>
      </div>
      <div id={panel} hidden={!open}>
        {open && <div className={classes.details}>{children}</div>}
      </div>
    </div>
  );
}

const COUNTS = {
  written: (count: string) => t('{count} written', { count }),
  unchanged: (count: string) => t('{count} unchanged', { count }),
  deleted: (count: string) => t('{count} deleted', { count }),
  rejected: (count: string) => t('{count} rejected', { count }),
  superseded: (count: string) => t('{count} repeated', { count }),
  filtered: (count: string) => t('{count} filtered', { count }),
};
const COUNTED = Object.keys(COUNTS) as (keyof typeof COUNTS)[];

const Result = memo(function Result({ result }: { result: LastStreamResult | undefined }) {
  if (!result)
    return (
      <Text size="xs" c="dimmed">
        {t('Not synced yet')}
      </Text>
    );
  return (
    <Stack gap={2}>
      <Group gap={8}>
        <StatusBadge status={result.status} />
        {result.endedAtMs && (
          <Text size="xs" c="dimmed">
            <Time ms={result.endedAtMs} />
          </Text>
        )}
      </Group>
      <Text size="xs" c="dimmed" className="numbers">
        {[
          t('{count} read', { count: short(result.read ?? 0) }),
          ...COUNTED.filter((name) => result[name]).map((name) => COUNTS[name](short(result[name] ?? 0))),
          ...Object.entries(result.figures ?? {})
            .filter(([name, value]) => name.startsWith('chunks_') && value > 0)
            .slice(0, 2)
            .map(([name, value]) => `${short(value)} ${figureName(name)}`),
          result.bytes ? size(result.bytes) : undefined,
          result.seconds !== undefined ? duration(result.seconds * 1000) : undefined,
        ]
          .filter(Boolean)
          .join(' · ')}
      </Text>
      {(result.suspicions?.length || result.error) && (
        <Text size="xs" lineClamp={2}>
          {result.suspicions?.[0] ?? result.error?.message}
        </Text>
      )}
    </Stack>
  );
});

const pathText = (names: string[]) => names.join('.');

function summary(stream: StreamProperty, chosen: StreamConfig | undefined): string {
  const mode = chosen?.syncMode ?? '';
  const cursor = chosen?.cursorField ?? stream.defaultCursorField;
  const key = chosen?.primaryKey ?? stream.sourceDefinedPrimaryKey;
  const tops = new Set(stream.propertyFields.map((field) => field[0]));
  const parts = [];
  if (key.length) parts.push(t('key {fields}', { fields: key.map(pathText).join(', ') }));
  if (cursor.length && (!chosen || isIncremental(mode))) parts.push(t('cursor {field}', { field: pathText(cursor) }));
  if (chosen?.selectedFields) {
    const taken = new Set(chosen.selectedFields.map((field) => field.fieldPath[0])).size;
    parts.push(tops.size ? t('{chosen} of {all} fields', { chosen: taken, all: tops.size }) : plural(taken, '{count} field', '{count} fields'));
  } else if (tops.size) parts.push(plural(tops.size, '{count} field', '{count} fields'));
  const name = chosen?.destinationObjectName;
  if (typeof name === 'string' && name && name !== stream.streamName) parts.push(t('written as {name}', { name }));
  parts.push(...(chosen?.mappers ?? []).map(mapperWords));
  return parts.join(' · ');
}
