/** Settings of a connection: name, schedule and handling of schema changes. */
import { Alert, Anchor, Button, Card, Group, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';

import { api, isOvertaken, PUBLIC } from '../api/client';
import type { ConnectionDetail } from '../api/schema.gen';
import { RichText } from '../form/RichText';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { DraftNote } from '../shell/DraftNote';
import { ErrorNote } from '../shell/ErrorNote';
import { LeaveGuard } from '../shell/LeaveGuard';
import { notifyError, notifySuccess } from '../shell/notify';
import { same } from '../shell/rebase';
import { keepAll, useDraft } from '../shell/useDraft';
import { t } from '../text';
import { patchAsSeen } from './patchAsSeen';
import { prefixDialog, PrefixField, prefixProblem } from './PrefixField';
import { SchemaPolicy } from './SchemaPolicy';
import { notifyRemoval, removalOf, SlotBeforeDeletion, slotOf } from './slotRemoval';
import { scheduleBody, scheduleSettingsOf } from '../schedule/settings';
import { ScheduleFields } from '../schedule/ScheduleFields';

function savedSettings(connection: ConnectionDetail) {
  return { name: connection.name, schedule: scheduleSettingsOf(connection.schedule), policy: connection.schemaPolicy, prefix: connection.prefix };
}

const LABELS: Record<string, () => string> = {
  name: () => t('Name'),
  schedule: () => t('Schedule'),
  policy: () => t('When the source schema changes'),
  prefix: () => t('Prefix of the streams'),
};

export function SettingsTab({ connection, edit }: { connection: ConnectionDetail; edit: boolean }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const saved = savedSettings(connection);
  const draft = useDraft(`settings ${connection.connectionId}`, saved, keepAll);
  const { name, schedule, policy, prefix } = draft.value;
  const renamed = prefix !== connection.prefix;
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const body: Record<string, unknown> = {};
  if (name.trim() !== connection.name) body.name = name.trim();
  if (policy !== connection.schemaPolicy) body.nonBreakingSchemaUpdatesBehavior = policy;
  if (renamed) body.prefix = prefix;
  if (JSON.stringify(schedule) !== JSON.stringify(saved.schedule)) body.schedule = scheduleBody(schedule);
  const changed = Object.keys(body).length > 0;
  const saving = useMutation({
    mutationFn: () => patchAsSeen(connection, body, (present) => same(savedSettings(present), saved)),
    onError: (error) => (isOvertaken(error) ? client.invalidateQueries({ queryKey: ['connection', connection.connectionId] }) : undefined),
    onSuccess: async () => {
      notifySuccess(t('The settings were saved'));
      draft.clear();
      await client.invalidateQueries({ queryKey: ['connection', connection.connectionId] });
      await client.invalidateQueries({ queryKey: ['connections'] });
    },
  });
  const remove = async () => {
    // Asked when the dialog opens: another connection may have begun to read the slot since.
    const answer = connection.slot ? await slotOf(connection.connectionId) : null;
    setConfirmation({
      title: t('Delete {name}?', { name: connection.name }),
      body: (
        <Stack gap="xs">
          <Text size="sm">
            {t('The connection, its schedule and its state are deleted. This cannot be undone. The data in {destination} stays.', {
              destination: connection.destination.name,
            })}
          </Text>
          {answer && <SlotBeforeDeletion answer={answer} />}
        </Stack>
      ),
      action: t('Delete the connection'),
      danger: true,
      type: connection.name,
      run: async () => {
        draft.clear();
        await api.delete(`${PUBLIC}/connections/${connection.connectionId}`);
        notifySuccess(t('{name} was deleted.', { name: connection.name }));
        await client.invalidateQueries({ queryKey: ['connections'] });
        await navigate({ to: '/connections' });
        if (answer?.slot) void removalOf(connection.connectionId).then(notifyRemoval, notifyError);
      },
    });
  };

  return (
    <Stack maw={760}>
      {connection.managedBy && (
        <Alert variant="light" role="note" title={t('A project file manages this connection')}>
          <Text size="sm">
            <RichText text={t('The next `kitestring apply` overwrites changes made here with “{name}” of kitestring.yaml.', { name: connection.managedBy })} />
          </Text>
        </Alert>
      )}
      <DraftNote draft={draft} label={(path) => LABELS[path.split('.')[0]!]?.() ?? path} />
      <Card withBorder>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            // What was synced under the present names stays there.
            if (renamed && connection.job !== null) setConfirmation(prefixDialog(connection, prefix, () => saving.mutateAsync()));
            else saving.mutate();
          }}
        >
          <fieldset disabled={!edit} style={{ border: 0, padding: 0, margin: 0, minWidth: 0 }}>
          <Stack>
            <TextInput label={t('Name')} value={name} onChange={(event) => draft.set({ ...draft.value, name: event.currentTarget.value })} required />
            <ScheduleFields sourceId={connection.source.id} schedule={schedule} onChange={(next) => draft.set({ ...draft.value, schedule: next })} />
            <SchemaPolicy policy={policy} onChange={(next) => draft.set({ ...draft.value, policy: next })} />
            <PrefixField prefix={prefix} onChange={(next) => draft.set({ ...draft.value, prefix: next })} error={renamed ? prefixProblem(connection) : undefined} />
            {saving.error && !(isOvertaken(saving.error) && draft.isOvertaken) && <ErrorNote error={saving.error} />}
            {edit && (
              <Group>
                <Button type="submit" loading={saving.isPending} disabled={!changed || name.trim() === '' || (renamed && prefixProblem(connection) !== undefined)}>
                  {t('Save')}
                </Button>
                {changed && (
                  <Button variant="default" onClick={draft.reset}>
                    {t('Discard')}
                  </Button>
                )}
              </Group>
            )}
          </Stack>
          </fieldset>
        </form>
      </Card>
      <Card withBorder>
        <Stack gap={6}>
          <Title order={2} size="h5">
            {t('Source and destination')}
          </Title>
          <Text size="sm">
            <Anchor component={Link} to={`/sources/${connection.source.id}`} size="sm">
              {connection.source.name}
            </Anchor>
            {' → '}
            <Anchor component={Link} to={`/destinations/${connection.destination.id}`} size="sm">
              {connection.destination.name}
            </Anchor>
          </Text>
          {connection.namespaceFormat && <Text size="sm">{t('Namespace: {namespace}', { namespace: connection.namespaceFormat })}</Text>}
        </Stack>
      </Card>
      {edit && (
        <Card withBorder>
          <Group justify="space-between">
            <Stack gap={2}>
              <Title order={2} size="h5">
                {t('Delete this connection')}
              </Title>
              <Text size="sm" c="dimmed">
                {t('The data in the destination stays.')}
              </Text>
            </Stack>
            <Button variant="default" c="var(--mantine-color-error)" onClick={() => void remove().catch(notifyError)}>
              {t('Delete …')}
            </Button>
          </Group>
        </Card>
      )}
      <LeaveGuard draft={draft} />
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </Stack>
  );
}
