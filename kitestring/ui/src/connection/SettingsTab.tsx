/** What can be changed of a connection: its name, when it runs, what it does when the source's schema changes. */
import { Alert, Anchor, Button, Card, Group, Radio, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';

import { api, OWN, PUBLIC } from '../api/client';
import type { ConnectionDetail, Schedule, SchedulePreview } from '../api/schema.gen';
import { splitCron } from '../connections/schedule';
import { type Asked, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { exact } from '../shell/format';
import { notifySuccess } from '../shell/notify';
import { ScheduleFields, timing, WHEN, type When } from '../wizard/ScheduleFields';

const POLICIES = [
  ['ignore', 'Leave new fields and streams out'],
  ['disable_connection', 'Pause the connection and ask'],
  ['propagate_columns', 'Take new fields over'],
  ['propagate_fully', 'Take new fields and streams over'],
] as const;

/** The fields of the form for a schedule of the API. */
export function whenOf(said: Schedule): When {
  if (said.scheduleType === 'cron') {
    const { expression, zone } = splitCron(said.cronExpression ?? '');
    return { ...WHEN, kind: 'cron', expression, zone };
  }
  const [, every, unit] = /(\d+)\s+(\w+)/.exec(said.basicTiming ?? '') ?? [];
  if (said.scheduleType === 'basic' && every && unit)
    return { ...WHEN, kind: 'basic', every: Number(every), unit: `${unit.toUpperCase().replace(/S$/, '')}S` };
  return { ...WHEN, kind: said.scheduleType === 'manual' ? 'manual' : 'basic' };
}

export function SettingsTab({ one, edit }: { one: ConnectionDetail; edit: boolean }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState(one.name);
  const [when, setWhen] = useState(() => whenOf(one.schedule));
  const [policy, setPolicy] = useState(one.schemaPolicy);
  const [asked, setAsked] = useState<Asked | null>(null);
  const body: Record<string, unknown> = {};
  if (name.trim() !== one.name) body.name = name.trim();
  if (policy !== one.schemaPolicy) body.nonBreakingSchemaUpdatesBehavior = policy;
  if (JSON.stringify(when) !== JSON.stringify(whenOf(one.schedule))) body.schedule = timing(when);
  const changed = Object.keys(body).length > 0;
  const saving = useMutation({
    mutationFn: () => api.patch(`${PUBLIC}/connections/${one.connectionId}`, body),
    onSuccess: async () => {
      notifySuccess('The settings were saved.');
      await client.invalidateQueries({ queryKey: ['connection', one.connectionId] });
      await client.invalidateQueries({ queryKey: ['connections'] });
    },
  });
  const coming = useQuery({
    queryKey: ['schedule', when],
    queryFn: () => api.post<SchedulePreview>(`${OWN}/schedule/preview`, timing(when)),
    enabled: when.kind !== 'manual',
    retry: false,
  });

  const remove = () =>
    setAsked({
      title: `Delete ${one.name}?`,
      what: (
        <>
          The connection, its schedule and its state are deleted; this cannot be undone. What{' '}
          <b>{one.destination.name}</b> has of it stays there.
        </>
      ),
      action: 'Delete the connection',
      danger: true,
      type: one.name,
      run: async () => {
        await api.delete(`${PUBLIC}/connections/${one.connectionId}`);
        notifySuccess(`${one.name} was deleted.`);
        await client.invalidateQueries({ queryKey: ['connections'] });
        await navigate({ to: '/connections' });
      },
    });

  return (
    <Stack maw={760}>
      {one.managedBy && (
        <Alert variant="light" role="note" title="A project file manages this connection">
          <Text size="sm">
            The next <code>kitestring apply</code> puts it back to what kitestring.yaml says of “{one.managedBy}”.
          </Text>
        </Alert>
      )}
      <Card withBorder>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            saving.mutate();
          }}
        >
          <fieldset disabled={!edit} style={{ border: 0, padding: 0, margin: 0, minWidth: 0 }}>
          <Stack>
            <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} required />
            <ScheduleFields when={when} onChange={setWhen} />
            {when.kind !== 'manual' && coming.data && (
              <Text size="sm" c="dimmed" role="status">
                Next: {coming.data.nextMs.slice(0, 3).map(exact).join('; ')}
              </Text>
            )}
            {when.kind !== 'manual' && coming.error && <ErrorNote error={coming.error} />}
            <Radio.Group label="When the source has other fields or streams than before" value={policy} onChange={setPolicy}>
              <Stack gap={6} mt={6}>
                {POLICIES.map(([value, label]) => (
                  <Radio key={value} value={value} label={label} />
                ))}
              </Stack>
            </Radio.Group>
            <Text size="sm" c="dimmed">
              A change that breaks a stream (its key, its cursor or the stream itself is gone) always pauses and asks.
            </Text>
            {saving.error && <ErrorNote error={saving.error} />}
            {edit && (
              <Group>
                <Button type="submit" loading={saving.isPending} disabled={!changed || name.trim() === ''}>
                  Save
                </Button>
              </Group>
            )}
          </Stack>
          </fieldset>
        </form>
      </Card>
      <Card withBorder>
        <Stack gap={6}>
          <Title order={2} size="h5">
            Where it leads
          </Title>
          <Text size="sm">
            From{' '}
            <Anchor component={Link} to={`/sources/${one.source.id}`} size="sm">
              {one.source.name}
            </Anchor>{' '}
            to{' '}
            <Anchor component={Link} to={`/destinations/${one.destination.id}`} size="sm">
              {one.destination.name}
            </Anchor>
            {one.prefix && <>, each stream with “{one.prefix}” before its name</>}
            {one.namespaceFormat && <>, in the namespace “{one.namespaceFormat}”</>}.
          </Text>
        </Stack>
      </Card>
      {edit && (
        <Card withBorder>
          <Group justify="space-between">
            <Stack gap={2}>
              <Title order={2} size="h5">
                Delete this connection
              </Title>
              <Text size="sm" c="dimmed">
                The data at the destination stays.
              </Text>
            </Stack>
            <Button variant="default" c="var(--mantine-color-error)" onClick={remove}>
              Delete …
            </Button>
          </Group>
        </Card>
      )}
      <Confirm asked={asked} onClose={() => setAsked(null)} />
    </Stack>
  );
}
