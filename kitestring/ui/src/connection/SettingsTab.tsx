/** Settings of a connection: name, schedule and handling of schema changes. */
import { Alert, Anchor, Button, Card, Group, Radio, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';

import { api, OWN, PUBLIC } from '../api/client';
import type { ConnectionDetail, Schedule, SchedulePreview } from '../api/schema.gen';
import { splitCron } from '../connections/schedule';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { exact } from '../shell/format';
import { notifySuccess } from '../shell/notify';
import { ScheduleFields, scheduleBody, DEFAULT_SCHEDULE, type ScheduleSettings } from '../wizard/ScheduleFields';

const POLICIES = [
  ['ignore', 'Ignore new fields and streams'],
  ['disable_connection', 'Pause the connection and ask'],
  ['propagate_columns', 'Add new fields'],
  ['propagate_fully', 'Add new fields and streams'],
] as const;

/** The form values for a schedule of the API. */
export function scheduleSettingsOf(schedule: Schedule): ScheduleSettings {
  if (schedule.scheduleType === 'cron') {
    const { expression, zone } = splitCron(schedule.cronExpression ?? '');
    return { ...DEFAULT_SCHEDULE, kind: 'cron', expression, zone };
  }
  const [, every, unit] = /(\d+)\s+(\w+)/.exec(schedule.basicTiming ?? '') ?? [];
  if (schedule.scheduleType === 'basic' && every && unit)
    return { ...DEFAULT_SCHEDULE, kind: 'basic', every: Number(every), unit: `${unit.toUpperCase().replace(/S$/, '')}S` };
  return { ...DEFAULT_SCHEDULE, kind: schedule.scheduleType === 'manual' ? 'manual' : 'basic' };
}

export function SettingsTab({ connection, edit }: { connection: ConnectionDetail; edit: boolean }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState(connection.name);
  const [schedule, setSchedule] = useState(() => scheduleSettingsOf(connection.schedule));
  const [policy, setPolicy] = useState(connection.schemaPolicy);
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const body: Record<string, unknown> = {};
  if (name.trim() !== connection.name) body.name = name.trim();
  if (policy !== connection.schemaPolicy) body.nonBreakingSchemaUpdatesBehavior = policy;
  if (JSON.stringify(schedule) !== JSON.stringify(scheduleSettingsOf(connection.schedule))) body.schedule = scheduleBody(schedule);
  const changed = Object.keys(body).length > 0;
  const saving = useMutation({
    mutationFn: () => api.patch(`${PUBLIC}/connections/${connection.connectionId}`, body),
    onSuccess: async () => {
      notifySuccess('The settings were saved.');
      await client.invalidateQueries({ queryKey: ['connection', connection.connectionId] });
      await client.invalidateQueries({ queryKey: ['connections'] });
    },
  });
  const preview = useQuery({
    queryKey: ['schedule', schedule],
    queryFn: () => api.post<SchedulePreview>(`${OWN}/schedule/preview`, scheduleBody(schedule)),
    enabled: schedule.kind !== 'manual',
    retry: false,
  });

  const remove = () =>
    setConfirmation({
      title: `Delete ${connection.name}?`,
      body: (
        <>
          The connection, its schedule and its state are deleted. This cannot be undone. The data in{' '}
          <b>{connection.destination.name}</b> stays.
        </>
      ),
      action: 'Delete the connection',
      danger: true,
      type: connection.name,
      run: async () => {
        await api.delete(`${PUBLIC}/connections/${connection.connectionId}`);
        notifySuccess(`${connection.name} was deleted.`);
        await client.invalidateQueries({ queryKey: ['connections'] });
        await navigate({ to: '/connections' });
      },
    });

  return (
    <Stack maw={760}>
      {connection.managedBy && (
        <Alert variant="light" role="note" title="A project file manages this connection">
          <Text size="sm">
            The next <code>kitestring apply</code> overwrites changes made here with “{connection.managedBy}” of kitestring.yaml.
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
            <ScheduleFields schedule={schedule} onChange={setSchedule} />
            {schedule.kind !== 'manual' && preview.data && (
              <Text size="sm" c="dimmed" role="status">
                Next: {preview.data.nextMs.slice(0, 3).map(exact).join('; ')}
              </Text>
            )}
            {schedule.kind !== 'manual' && preview.error && <ErrorNote error={preview.error} />}
            <Radio.Group label="When the source schema changes" value={policy} onChange={setPolicy}>
              <Stack gap={6} mt={6}>
                {POLICIES.map(([value, label]) => (
                  <Radio key={value} value={value} label={label} />
                ))}
              </Stack>
            </Radio.Group>
            <Text size="sm" c="dimmed">
              A breaking change (the key, the cursor or the stream itself was removed) always pauses the connection.
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
            Source and destination
          </Title>
          <Text size="sm">
            From{' '}
            <Anchor component={Link} to={`/sources/${connection.source.id}`} size="sm">
              {connection.source.name}
            </Anchor>{' '}
            to{' '}
            <Anchor component={Link} to={`/destinations/${connection.destination.id}`} size="sm">
              {connection.destination.name}
            </Anchor>
            {connection.prefix && <>, with the stream prefix “{connection.prefix}”</>}
            {connection.namespaceFormat && <>, in the namespace “{connection.namespaceFormat}”</>}.
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
                The data in the destination stays.
              </Text>
            </Stack>
            <Button variant="default" c="var(--mantine-color-error)" onClick={remove}>
              Delete …
            </Button>
          </Group>
        </Card>
      )}
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </Stack>
  );
}
