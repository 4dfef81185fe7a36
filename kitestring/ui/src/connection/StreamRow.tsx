/** A stream: its sync mode, the figures of its last job, and its actions. */
import { ActionIcon, Box, Checkbox, Group, Menu, Stack, Text } from '@mantine/core';
import { IconCalendarSearch, IconDotsVertical, IconEraser, IconRefresh } from '@tabler/icons-react';

import type { StreamDetail } from '../api/schema.gen';
import { duration, figureName, short, size } from '../shell/format';
import { StatusBadge } from '../shell/StatusBadge';
import { Time } from '../shell/Time';
import { isIncremental, modeWords } from '../modes';

const COUNTS = ['written', 'unchanged', 'deleted', 'rejected', 'superseded', 'filtered'] as const;

export function StreamRow({
  stream,
  chosen,
  busy,
  run,
  edit,
  onToggle,
  onRefresh,
  onClear,
  onBackfill,
}: {
  stream: StreamDetail;
  chosen: boolean;
  busy: boolean;
  run: boolean;
  edit: boolean;
  onToggle: (key: string) => void;
  onRefresh: (keys: string[]) => void;
  onClear: (keys: string[]) => void;
  onBackfill: (key: string) => void;
}) {
  const last = stream.last;
  const summary = [
    modeWords(stream.syncMode),
    isIncremental(stream.syncMode) && stream.cursorField?.length ? `cursor ${stream.cursorField.join('.')}` : undefined,
    stream.primaryKey?.length ? `key ${stream.primaryKey.map((path) => path.join('.')).join(', ')}` : undefined,
    stream.selectedFields?.length ? `${stream.selectedFields.length} fields` : undefined,
    stream.destinationObjectName && stream.destinationObjectName !== stream.name ? `written as ${stream.destinationObjectName}` : undefined,
    stream.mappers?.length ? `mapped: ${stream.mappers.map((mapper) => mapper.type).join(', ')}` : undefined,
  ].filter(Boolean);
  return (
    <Group px="md" py={10} gap="sm" wrap="nowrap" mih={64}>
      {run && <Checkbox size="xs" checked={chosen} onChange={() => onToggle(stream.key)} aria-label={`Choose ${stream.key}`} />}
      <Box style={{ flex: '1 1 45%' }} miw={0}>
        <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
          {stream.key}
        </Text>
        <Text size="xs" c="dimmed">
          {summary.join(' · ')}
        </Text>
      </Box>
      <Box style={{ flex: '1 1 45%' }} miw={0}>
        {last ? (
          <Stack gap={2}>
            <Group gap={8}>
              <StatusBadge status={last.status} />
              {last.endedAtMs && (
                <Text size="xs" c="dimmed">
                  <Time ms={last.endedAtMs} />
                </Text>
              )}
            </Group>
            <Text size="xs" c="dimmed" className="numbers">
              {[
                `${short(last.read ?? 0)} read`,
                ...COUNTS.filter((name) => last[name]).map((name) => `${short(last[name] ?? 0)} ${name}`),
                ...Object.entries(last.figures ?? {})
                  .filter(([name, value]) => name.startsWith('chunks_') && value > 0)
                  .slice(0, 2)
                  .map(([name, value]) => `${short(value)} ${figureName(name)}`),
                last.bytes ? size(last.bytes) : undefined,
                last.seconds !== undefined ? duration(last.seconds * 1000) : undefined,
              ]
                .filter(Boolean)
                .join(' · ')}
            </Text>
            {(last.suspicions?.length || last.error) && (
              <Text size="xs" lineClamp={2}>
                {last.suspicions?.[0] ?? last.error?.message}
              </Text>
            )}
          </Stack>
        ) : (
          <Text size="xs" c="dimmed">
            Not synced yet
          </Text>
        )}
      </Box>
      {(run || edit) && (
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${stream.key}`}>
              <IconDotsVertical size={17} aria-hidden />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            {run && (
              <Menu.Item
                leftSection={<IconRefresh size={15} aria-hidden />}
                disabled={busy}
                onClick={() => onRefresh([stream.key])}
              >
                Refresh …
              </Menu.Item>
            )}
            {run && isIncremental(stream.syncMode) && (
              <Menu.Item
                leftSection={<IconCalendarSearch size={15} aria-hidden />}
                disabled={busy}
                onClick={() => onBackfill(stream.key)}
              >
                Backfill …
              </Menu.Item>
            )}
            {edit && (
              <Menu.Item
                leftSection={<IconEraser size={15} aria-hidden />}
                color="red"
                disabled={busy}
                onClick={() => onClear([stream.key])}
              >
                Clear …
              </Menu.Item>
            )}
          </Menu.Dropdown>
        </Menu>
      )}
    </Group>
  );
}
