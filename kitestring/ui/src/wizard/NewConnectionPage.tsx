/** A new connection: source, destination, streams, schedule and name; then an estimate of the first sync. */
import { Anchor, Breadcrumbs, Button, Card, Group, Loader, NativeSelect, Skeleton, Stack, Stepper, Text, TextInput, VisuallyHidden } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';

import { endpointQuery } from '../endpoint/endpoints';
import { api, PUBLIC } from '../api/client';
import { queryClient } from '../api/queries';
import type { Connection } from '../api/schema.gen';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { PageHeader } from '../shell/PageHeader';
import { ConnectorStep } from './ConnectorStep';
import { FirstSync } from './FirstSync';
import { ScheduleFields, scheduleBody, DEFAULT_SCHEDULE } from './ScheduleFields';
import { defaultConfig, missingSetting, offeredKey, offeredQuery } from './streams';
import { type Choice, StreamsTable } from './StreamsTable';

interface ConnectionParams {
  source?: string;
  destination?: string;
}

export function NewConnectionPage() {
  const { workspaceId } = useWorkspace();
  const navigate = useNavigate();
  const params = useSearch({ strict: false }) as ConnectionParams;
  const [scheduling, setScheduling] = useState(false);
  const [created, setCreated] = useState<{ connectionId: string; name: string }>();
  const [choice, setChoice] = useState<Choice>();
  const source = useQuery({ ...endpointQuery('source', params.source ?? ''), enabled: !!params.source });
  const destination = useQuery({ ...endpointQuery('destination', params.destination ?? ''), enabled: !!params.destination });
  const step = !params.source ? 0 : !params.destination ? 1 : scheduling ? 3 : 2;
  const go = (search: ConnectionParams) => {
    setScheduling(false);
    setChoice(undefined);
    void navigate({ to: '/connections/new', search: search as never });
  };

  return (
    <>
      <PageHeader
        title="New connection"
        above={
          <Breadcrumbs>
            <Anchor component={Link} to="/connections" size="sm">
              Connections
            </Anchor>
          </Breadcrumbs>
        }
      />
      <Stack gap="lg">
        <Stepper
          active={created ? 4 : step}
          size="sm"
          iconSize={32}
          wrap={false}
          onStepClick={(to) => {
            if (created) return;
            if (to === 0) go({});
            else if (to === 1) go({ source: params.source });
            else setScheduling(to === 3);
          }}
          styles={{ stepBody: { minWidth: 0 }, stepLabel: { whiteSpace: 'nowrap' } }}
        >
          {[
            ['Source', source.data?.name],
            ['Destination', destination.data?.name],
            ['Streams', step > 2 && choice ? `${choice.size} chosen` : undefined],
            ['Schedule', undefined],
          ].map(([label, description], n) => (
            <Stepper.Step
              key={label}
              label={
                <>
                  <Text span size="sm" fw={600} visibleFrom="sm">
                    {label}
                  </Text>
                  <VisuallyHidden hiddenFrom="sm">{label}</VisuallyHidden>
                </>
              }
              description={<Text span size="xs" visibleFrom="md">{description}</Text>}
              allowStepSelect={!created && n < step}
            />
          ))}
        </Stepper>
        {created ? (
          <FirstSync connectionId={created.connectionId} name={created.name} />
        ) : !workspaceId ? (
          <Skeleton height={200} />
        ) : step === 0 ? (
          <Step title="Where does the data come from?">
            <ConnectorStep key="source" kind="source" workspaceId={workspaceId} onChosen={(endpoint) => go({ ...params, source: endpoint.id })} />
          </Step>
        ) : step === 1 ? (
          <Step title="Where does it go?">
            <ConnectorStep key="destination" kind="destination" workspaceId={workspaceId} onChosen={(endpoint) => go({ ...params, destination: endpoint.id })} />
          </Step>
        ) : source.error || destination.error ? (
          <ErrorNote error={source.error ?? destination.error} />
        ) : step === 2 ? (
          <Step title="Which streams, and how?">
            <Streams sourceId={params.source!} destinationId={params.destination!} choice={choice} onChange={setChoice} onNext={() => setScheduling(true)} />
          </Step>
        ) : (
          <Step title="Schedule and name">
            <Finish
              name={`${source.data?.name ?? ''} → ${destination.data?.name ?? ''}`}
              onBack={() => setScheduling(false)}
              save={async (settings) => {
                const connection = await api.post<Connection>(`${PUBLIC}/connections`, {
                  sourceId: params.source,
                  destinationId: params.destination,
                  configurations: { streams: [...choice!.values()] },
                  ...settings,
                });
                void queryClient.invalidateQueries();
                setCreated(connection);
              }}
            />
          </Step>
        )}
      </Stack>
    </>
  );
}

function Step({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <Stack gap="sm">
      <Text component="h2" size="lg" fw={650} m={0}>
        {title}
      </Text>
      {children}
    </Stack>
  );
}

function Streams({
  sourceId,
  destinationId,
  choice,
  onChange,
  onNext,
}: {
  sourceId: string;
  destinationId: string;
  choice: Choice | undefined;
  onChange: (choice: Choice) => void;
  onNext: () => void;
}) {
  const offered = useQuery(offeredQuery(sourceId, destinationId, true));
  useEffect(() => {
    // All streams, each with its best sync mode.
    if (offered.data && !choice) onChange(new Map(offered.data.map((stream) => [offeredKey(stream), defaultConfig(stream)])));
  }, [offered.data, choice, onChange]);
  if (offered.error) return <ErrorNote error={offered.error} retry={() => void offered.refetch()} />;
  if (!offered.data || !choice)
    return (
      <Card withBorder padding="xl">
        <Group justify="center">
          <Loader size="sm" aria-hidden />
          <Text role="status">Reading the streams of the source…</Text>
        </Group>
      </Card>
    );
  const incomplete = offered.data.filter((stream) => {
    const chosen = choice.get(offeredKey(stream));
    return chosen && missingSetting(stream, chosen);
  }).length;
  return (
    <Stack>
      <StreamsTable offered={offered.data} choice={choice} onChange={onChange} />
      <Group justify="flex-end">
        {incomplete > 0 && (
          <Text size="sm" c="var(--mantine-color-error)">
            {incomplete === 1 ? 'One stream lacks' : `${incomplete} streams lack`} a cursor or a key.
          </Text>
        )}
        <Button disabled={choice.size === 0 || incomplete > 0} onClick={onNext}>
          Next
        </Button>
      </Group>
    </Stack>
  );
}

function Finish({ name: suggested, onBack, save }: { name: string; onBack: () => void; save: (settings: object) => Promise<unknown> }) {
  const [name, setName] = useState(suggested);
  const [schedule, setSchedule] = useState(DEFAULT_SCHEDULE);
  const [prefix, setPrefix] = useState('');
  const [policy, setPolicy] = useState('propagate_columns');
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
            <TextInput label="Name" withAsterisk required value={name} onChange={(event) => setName(event.currentTarget.value)} />
            <ScheduleFields schedule={schedule} onChange={setSchedule} />
            <NativeSelect
              label="When the source's schema changes"
              description="The schema is read before each sync. A breaking change always pauses the connection."
              value={policy}
              onChange={(event) => setPolicy(event.currentTarget.value)}
              data={[
                { value: 'propagate_columns', label: 'Add new fields' },
                { value: 'propagate_fully', label: 'Add new fields and streams' },
                { value: 'ignore', label: 'Ignore new fields and streams' },
                { value: 'disable_connection', label: 'Pause the connection and ask' },
              ]}
            />
            <TextInput
              label="Prefix"
              description="Prepended to the name of each stream in the destination."
              value={prefix}
              onChange={(event) => setPrefix(event.currentTarget.value)}
            />
          </Stack>
        </Card>
        {saving.error && <ErrorNote error={saving.error} />}
        <Group justify="space-between">
          <Button variant="default" onClick={onBack}>
            Back
          </Button>
          <Button type="submit" loading={saving.isPending} disabled={name.trim() === ''}>
            Create the connection
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
