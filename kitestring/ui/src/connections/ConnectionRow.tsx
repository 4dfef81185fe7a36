/** One connection in the table. */
import { ActionIcon, Anchor, Group, Menu, Stack, Table, Text, Tooltip } from '@mantine/core';
import {
  IconArrowRight,
  IconDotsVertical,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  IconRefresh,
} from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { memo } from 'react';

import type { ConnectionOverview } from '../api/schema.gen';
import { StatusBadge } from '../shell/StatusBadge';
import { Time } from '../shell/Time';
import { LastSync } from './LastSync';
import { ACTIVE, conditionOf } from './overviews';
import { inWords } from './schedule';
import { useActions } from './useActions';

export const ConnectionRow = memo(function ConnectionRow({ connection, may }: { connection: ConnectionOverview; may: { run: boolean; edit: boolean } }) {
  const { sync, cancel, pause, resume } = useActions(connection);
  const running = connection.job !== null && ACTIVE.includes(connection.job.status);
  const paused = connection.status !== 'active';
  const reason = paused ? connection.statusReason : connection.job?.status === 'failed' ? connection.job.error?.message : undefined;
  return (
    <Table.Tr>
      <Table.Td maw={360}>
        <Stack gap={2}>
          <Anchor
            component={Link}
            to={`/connections/${connection.connectionId}`}
            fw={600}
            size="sm"
            style={{ overflowWrap: 'anywhere' }}
          >
            {connection.name}
          </Anchor>
          <Group gap={4} c="dimmed">
            <Text size="xs">{connection.source.name}</Text>
            <IconArrowRight size={12} aria-label="to" />
            <Text size="xs">{connection.destination.name}</Text>
          </Group>
        </Stack>
      </Table.Td>
      <Table.Td maw={260}>
        <StatusBadge status={conditionOf(connection)} />
        {reason && (
          <Tooltip label={reason} multiline maw={420} withArrow>
            <Text size="xs" c="dimmed" lineClamp={2} mt={4}>
              {reason}
            </Text>
          </Tooltip>
        )}
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <LastSync connection={connection} />
      </Table.Td>
      <Table.Td visibleFrom="md">
        <Text size="sm">{inWords(connection.schedule)}</Text>
        {connection.nextRunAtMs && !paused && (
          <Text size="xs" c="dimmed">
            next <Time ms={connection.nextRunAtMs} />
          </Text>
        )}
      </Table.Td>
      <Table.Td w={84}>
        <Group gap={4} wrap="nowrap" justify="flex-end">
          {may.run &&
            (running ? (
              <Tooltip label="Cancel">
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  aria-label={`Cancel the job of ${connection.name}`}
                  loading={cancel.isPending}
                  disabled={connection.job?.cancelRequested}
                  onClick={() => cancel.mutate()}
                >
                  <IconPlayerStop size={17} aria-hidden />
                </ActionIcon>
              </Tooltip>
            ) : (
              <Tooltip label="Sync now">
                <ActionIcon
                  variant="subtle"
                  aria-label={`Sync ${connection.name} now`}
                  loading={sync.isPending}
                  onClick={() => sync.mutate()}
                >
                  <IconRefresh size={17} aria-hidden />
                </ActionIcon>
              </Tooltip>
            ))}
          {may.edit && (
            <Menu position="bottom-end">
              <Menu.Target>
                <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${connection.name}`}>
                  <IconDotsVertical size={17} aria-hidden />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                {paused ? (
                  <Menu.Item leftSection={<IconPlayerPlay size={15} aria-hidden />} onClick={() => resume.mutate()}>
                    Resume
                  </Menu.Item>
                ) : (
                  <Menu.Item leftSection={<IconPlayerPause size={15} aria-hidden />} onClick={() => pause.mutate()}>
                    Pause
                  </Menu.Item>
                )}
              </Menu.Dropdown>
            </Menu>
          )}
        </Group>
      </Table.Td>
    </Table.Tr>
  );
});
