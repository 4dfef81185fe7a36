/** Notification channels of a workspace by event: webhook, e-mail or any Apprise service, each with a test. */
import { Button, Card, Group, Skeleton, Stack, Switch, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, OWN, PUBLIC } from '../api/client';
import type { CheckResult, Workspace } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess, notifyError } from '../shell/notify';

interface Channel {
  enabled?: boolean;
  url?: string;
  urls?: string[];
  to?: string[];
}
type Way = 'webhook' | 'email' | 'apprise';
type Channels = Record<string, Partial<Record<Way, Channel>>>;

const EVENTS = [
  ['failure', 'A job failed', 'After all its attempts.'],
  ['suspicious', 'A job ended suspicious', 'Two numbers disagree. Without a channel here, the channels for failures are used.'],
  ['success', 'A job succeeded', ''],
  ['connectionUpdate', 'The schema of a source changed', 'The connection applied the change.'],
  ['connectionUpdateActionRequired', 'The schema changed and needs a decision', 'The connection is paused.'],
  ['syncDisabledWarning', 'A connection will be paused soon', 'It failed several times in a row.'],
  ['syncDisabled', 'A connection was paused', 'Refused credentials, or too many failures in a row.'],
] as const;

const WAYS = [
  ['webhook', 'Webhook', 'https://hooks.slack.com/services/…'],
  ['email', 'E-mail', 'ops@example.com, …; empty: all users of the workspace'],
  ['apprise', 'Apprise', 'tgram://…'],
] as const;

const splitList = (text: string) => text.split(/[\s,]+/).filter(Boolean);

export function channelOf(way: Way, text: string, enabled: boolean): Channel {
  if (way === 'webhook') return { enabled, url: text.trim() };
  return way === 'email' ? { enabled, to: splitList(text) } : { enabled, urls: splitList(text) };
}

export function textOf(channel: Channel | undefined): string {
  return channel?.url ?? (channel?.to ?? channel?.urls ?? []).join(', ');
}

export function NotificationsTab({ workspaceId }: { workspaceId: string }) {
  const client = useQueryClient();
  const key = ['notifications', workspaceId];
  const notifications = useQuery({
    queryKey: key,
    queryFn: async () => (await api.get<Workspace>(`${PUBLIC}/workspaces/${workspaceId}`)).notifications as Channels,
  });
  const saving = useMutation({
    mutationFn: (channels: Channels) => api.patch(`${PUBLIC}/workspaces/${workspaceId}`, { notifications: channels }),
    onSuccess: async () => {
      notifySuccess('The notifications were saved.');
      await client.invalidateQueries({ queryKey: key });
    },
    onError: notifyError,
  });
  if (notifications.error) return <ErrorNote error={notifications.error} retry={() => void notifications.refetch()} />;
  if (!notifications.data) return <Skeleton h={240} />;
  return (
    <Stack maw={820}>
      <Text size="sm" c="dimmed">
        Addresses are encrypted on the server and shown only to workspace admins.
      </Text>
      {EVENTS.map(([event, title, note]) => (
        <Card withBorder key={event} component="section" aria-label={title}>
          <Title order={2} size="h5">
            {title}
          </Title>
          {note && (
            <Text size="sm" c="dimmed">
              {note}
            </Text>
          )}
          <Stack gap="xs" mt="sm">
            {WAYS.map(([way, label, placeholder]) => (
              <Line
                key={`${way} ${JSON.stringify(notifications.data[event]?.[way])}`}
                {...{ way, label, placeholder, title, workspaceId }}
                channel={notifications.data[event]?.[way]}
                busy={saving.isPending}
                onSave={(channel) => saving.mutate({ [event]: { ...notifications.data[event], [way]: channel } })}
              />
            ))}
          </Stack>
        </Card>
      ))}
    </Stack>
  );
}

function Line({
  way,
  label,
  placeholder,
  title,
  channel,
  workspaceId,
  busy,
  onSave,
}: {
  way: Way;
  label: string;
  placeholder: string;
  title: string;
  channel: Channel | undefined;
  workspaceId: string;
  busy: boolean;
  onSave: (channel: Channel) => void;
}) {
  const [enabled, setEnabled] = useState(channel?.enabled ?? false);
  const [text, setText] = useState(textOf(channel));
  const changed = enabled !== (channel?.enabled ?? false) || text.trim() !== textOf(channel);
  const incomplete = enabled && way !== 'email' && text.trim() === '';
  const trying = useMutation({
    mutationFn: async () => {
      const urls = way === 'apprise' ? splitList(text) : [text.trim()];
      for (const url of urls) {
        const body = way === 'email' ? { workspaceId, way, to: splitList(text) } : { workspaceId, way, url };
        const result = await api.post<CheckResult>(`${OWN}/notifications/test`, body);
        if (result.status !== 'succeeded') throw new Error(`${result.message ?? 'The message was not delivered'}. ${result.hint ?? ''}`.trim());
      }
    },
    onSuccess: () => notifySuccess('The test was sent.'),
    onError: notifyError,
  });
  return (
    <Group gap="xs" align="center">
      <Switch
        label={label}
        aria-label={`${label}: ${title}`}
        checked={enabled}
        onChange={(event) => setEnabled(event.currentTarget.checked)}
        w={120}
      />
      <TextInput
        aria-label={`Address by ${label}: ${title}`}
        placeholder={placeholder}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        style={{ flex: '1 1 240px' }}
        autoComplete="off"
      />
      {(enabled || text) && (
        <Button
          size="xs"
          variant="default"
          loading={trying.isPending}
          disabled={way !== 'email' && text.trim() === ''}
          aria-label={`Test ${label}: ${title}`}
          onClick={() => trying.mutate()}
        >
          Test
        </Button>
      )}
      {changed && (
        <Button
          size="xs"
          loading={busy}
          disabled={incomplete}
          aria-label={`Save ${label}: ${title}`}
          onClick={() => onSave(channelOf(way, text, enabled))}
        >
          Save
        </Button>
      )}
    </Group>
  );
}
