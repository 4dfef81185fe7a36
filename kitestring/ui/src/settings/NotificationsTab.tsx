/** Notifications of a workspace: each channel is set and tested once, and ticked for the events that it is told of. */
import { Alert, Button, Checkbox, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core';
import { IconAlertTriangle, IconBrandSlack, IconMail, IconSend } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, OWN, PUBLIC } from '../api/client';
import type { CheckResult, Workspace } from '../api/schema.gen';
import list from '../list/list.module.css';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { notifyError, notifySuccess } from '../shell/notify';
import { t } from '../text';
import { addresses, type Channel, channelOf, type Event, EVENTS, type Stored, type Way, WAYS, withChannel } from './channels';

const EVENT_TEXTS: Record<Event, () => [string, string]> = {
  failure: () => [t('A job failed'), t('After all its attempts.')],
  suspicious: () => [t('A job ended as suspicious'), t('Two numbers disagree.')],
  success: () => [t('A job succeeded'), t('Every success: many messages.')],
  connectionUpdate: () => [t('The schema of a source changed'), t('The connection applied the change.')],
  connectionUpdateActionRequired: () => [t('The schema changed and needs a decision'), t('The connection is paused.')],
  syncDisabledWarning: () => [t('A connection will be paused soon'), t('It failed several times in a row.')],
  syncDisabled: () => [t('A connection was paused'), t('Refused credentials, or too many failures in a row.')],
  replicationSlot: () => [t('A replication slot needs attention'), t('A database retains much of its log, or is about to remove it.')],
};

const WAY_TEXTS: Record<Way, () => { label: string; address: string; placeholder: string; note: string; icon: typeof IconMail }> = {
  webhook: () => ({
    label: t('Slack or webhook'),
    address: t('Address of the webhook'),
    placeholder: 'https://hooks.slack.com/services/…',
    note: t('The message has the format of Slack. Other receivers can use the details in its field data.'),
    icon: IconBrandSlack,
  }),
  email: () => ({
    label: t('E-mail'),
    address: t('Addresses, separated by commas'),
    placeholder: 'ops@example.com',
    note: t('Without an address, all users of the workspace get the message.'),
    icon: IconMail,
  }),
  apprise: () => ({
    label: t('Apprise'),
    address: t('Addresses of Apprise, separated by commas'),
    placeholder: 'tgram://…',
    note: t('Telegram, Teams, PagerDuty and about a hundred other services.'),
    icon: IconSend,
  }),
};

interface Saving {
  way: Way;
  change: (channel: Channel) => Channel;
}

export function NotificationsTab({ workspaceId }: { workspaceId: string }) {
  const client = useQueryClient();
  const key = ['notifications', workspaceId];
  const fetchStored = async () => (await api.get<Workspace>(`${PUBLIC}/workspaces/${workspaceId}`)).notifications as Stored;
  const notifications = useQuery({
    queryKey: key,
    queryFn: fetchStored,
  });
  // A tick is shown at once, in the event of its click, and taken back if the server refuses it.
  const [pending, setPending] = useState<Saving | null>(null);
  const saving = useMutation({
    mutationFn: async ({ way, change }: Saving) => {
      // All events are sent: as they are now, which others may have changed since this page was loaded.
      const stored = await fetchStored();
      await api.patch(`${PUBLIC}/workspaces/${workspaceId}`, { notifications: withChannel(stored, change(channelOf(stored, way))) });
    },
    onSuccess: () => notifySuccess(t('The notifications were saved.')),
    onError: notifyError,
    onSettled: async () => {
      await client.invalidateQueries({ queryKey: key });
      setPending(null);
    },
  });
  if (notifications.error) return <ErrorNote error={notifications.error} retry={() => void notifications.refetch()} />;
  if (!notifications.data) return <RowsSkeleton />;
  const channels = WAYS.map((way) => {
    const channel = channelOf(notifications.data, way);
    return pending?.way === way ? pending.change(channel) : channel;
  });
  const save = (way: Way, change: Saving['change']) => {
    setPending({ way, change });
    saving.mutate({ way, change });
  };
  return (
    <Stack maw={900}>
      <Text size="sm" c="dimmed">
        {t('Set a channel once, then tick its events. Addresses are encrypted on the server and shown only to workspace admins.')}
      </Text>
      {channels.map((channel) => (
        <ChannelCard
          key={`${channel.way} ${channel.address}`}
          channel={channel}
          workspaceId={workspaceId}
          pending={pending?.way === channel.way}
          onSave={(address) =>
            save(channel.way, (before) => {
              // A channel that is set for the first time reports what needs somebody.
              const first = before.events.length === 0 && before.address === '';
              return { ...before, address, events: first ? EVENTS.filter((event) => event !== 'success' && event !== 'connectionUpdate') : before.events };
            })
          }
        />
      ))}
      <Matrix channels={channels} saving={pending !== null} onChange={save} />
    </Stack>
  );
}

function ChannelCard({ channel, workspaceId, pending, onSave }: { channel: Channel; workspaceId: string; pending: boolean; onSave: (address: string) => void }) {
  const { way } = channel;
  const { label, address, placeholder, note, icon: Icon } = WAY_TEXTS[way]();
  const [text, setText] = useState(channel.address);
  const empty = way !== 'email' && text.trim() === '';
  const changed = text.trim() !== channel.address || (way === 'email' && channel.address === '' && channel.events.length === 0);
  const testing = useMutation({
    mutationFn: async () => {
      const bodies = way === 'email' ? [{ to: addresses(way, text) }] : addresses(way, text).map((url) => ({ url }));
      for (const body of bodies) {
        const result = await api.post<CheckResult>(`${OWN}/notifications/test`, { workspaceId, way, ...body });
        if (result.status !== 'succeeded') throw new Error(`${result.message || t('The message was not delivered')}. ${result.hint ?? ''}`.trim());
      }
    },
    onSuccess: () => notifySuccess(t('The test was sent.')),
  });
  return (
    <Paper withBorder p="md" component="section" aria-label={label}>
      <Group gap="xs" mb={4}>
        <Icon size={18} aria-hidden />
        <Title order={2} size="h5">
          {label}
        </Title>
      </Group>
      <Group gap="xs" align="flex-end">
        <TextInput
          label={address}
          description={note}
          placeholder={placeholder}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          style={{ flex: '1 1 260px' }}
        />
        <Button variant="default" loading={testing.isPending} disabled={empty} aria-label={t('Test {channel}', { channel: label })} onClick={() => testing.mutate()}>
          {t('Test')}
        </Button>
        <Button loading={pending} disabled={!changed || (empty && channel.address === '')} aria-label={t('Save {channel}', { channel: label })} onClick={() => onSave(text.trim())}>
          {t('Save')}
        </Button>
      </Group>
      {testing.error && (
        <Alert mt="xs" color="red" variant="light" role="alert" icon={<IconAlertTriangle size={18} aria-hidden />}>
          {testing.error.message}
        </Alert>
      )}
    </Paper>
  );
}

/** Which channel is told of which event. */
function Matrix({ channels, saving, onChange }: { channels: Channel[]; saving: boolean; onChange: (way: Way, change: (channel: Channel) => Channel) => void }) {
  const usable = (channel: Channel) => channel.way === 'email' || channel.address !== '' || channel.events.length > 0;
  const toggle = (channel: Channel, event: Event, ticked: boolean) =>
    onChange(channel.way, (before) => {
      const others = before.events.filter((other) => other !== event);
      return { ...before, events: ticked ? [...others, event] : others };
    });
  return (
    <Paper withBorder component="section" aria-label={t('Events')} style={{ overflow: 'hidden' }}>
      <table className={list.matrix}>
        <thead>
          <tr>
            <th scope="col">{t('Event')}</th>
            {channels.map(({ way }) => {
              const { label } = WAY_TEXTS[way]();
              return (
                // A word with a hyphen stays whole.
                <th scope="col" key={way} style={{ whiteSpace: label.includes(' ') ? undefined : 'nowrap' }}>
                  {label}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {EVENTS.map((event) => {
            const [title, note] = EVENT_TEXTS[event]();
            return (
              <tr key={event}>
                <th scope="row">
                  {title}
                  <div className={list.dim}>{note}</div>
                </th>
                {channels.map((channel) => {
                  const { label } = WAY_TEXTS[channel.way]();
                  return (
                    <td key={channel.way}>
                      <Checkbox
                        aria-label={t('{channel}: {event}', { channel: label, event: title })}
                        checked={channel.events.includes(event)}
                        disabled={saving || !usable(channel)}
                        onChange={(change) => toggle(channel, event, change.currentTarget.checked)}
                      />
                      {channel.differing.includes(event) && <div className={list.dim}>{t('another address')}</div>}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </Paper>
  );
}
