/** The last settings of a new connection: its name, its schedule, and what a change of the schema does. */
import { Button, Card, Group, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';

import { PrefixField } from '../connection/PrefixField';
import { SchemaPolicy } from '../connection/SchemaPolicy';
import { DEFAULT_SCHEDULE, scheduleBody, type ScheduleSettings } from '../schedule/settings';
import { ScheduleFields } from '../schedule/ScheduleFields';
import { ErrorNote } from '../shell/ErrorNote';
import { t } from '../text';

export interface FinishSettings {
  name?: string;
  schedule?: ScheduleSettings;
  prefix?: string;
  policy?: string;
}

const DEFAULT_POLICY = 'propagate_columns';

export function FinishStep({
  sourceId,
  suggestedName,
  settings,
  onChange,
  onBack,
  save,
}: {
  sourceId: string;
  suggestedName: string;
  settings: FinishSettings;
  onChange: (settings: FinishSettings) => void;
  onBack: () => void;
  save: (settings: object) => Promise<unknown>;
}) {
  const { name = suggestedName, schedule = DEFAULT_SCHEDULE, prefix = '', policy = DEFAULT_POLICY } = settings;
  const saving = useMutation({
    mutationFn: () =>
      save({
        name: name.trim(),
        schedule: scheduleBody(schedule),
        nonBreakingSchemaUpdatesBehavior: policy,
        ...(prefix && { prefix }),
      }),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        saving.mutate();
      }}
    >
      <Stack maw={760}>
        <Card withBorder padding="lg">
          <Stack>
            <TextInput label={t('Name')} withAsterisk required value={name} onChange={(event) => onChange({ ...settings, name: event.currentTarget.value })} />
            <ScheduleFields sourceId={sourceId} schedule={schedule} onChange={(next) => onChange({ ...settings, schedule: next })} />
            <SchemaPolicy policy={policy} onChange={(next) => onChange({ ...settings, policy: next })} />
            <PrefixField prefix={prefix} onChange={(next) => onChange({ ...settings, prefix: next })} />
          </Stack>
        </Card>
        {saving.error && <ErrorNote error={saving.error} />}
        <Group justify="space-between">
          <Button variant="default" onClick={onBack}>
            {t('Back')}
          </Button>
          <Button type="submit" loading={saving.isPending} disabled={name.trim() === ''}>
            {t('Create the connection')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
