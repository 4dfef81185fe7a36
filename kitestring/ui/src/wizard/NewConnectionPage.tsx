/** A new connection: source, destination, streams, schedule and name; then an estimate of the first sync.
 *
 * The step is in the address and the choices are kept in this browser tab: Back, a reload and a look at another page
 * lose nothing. */
import { Anchor, Breadcrumbs, Stack, Stepper, Text, VisuallyHidden } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type ReactNode, useMemo } from 'react';

import { api, PUBLIC } from '../api/client';
import { queryClient } from '../api/queries';
import type { Connection } from '../api/schema.gen';
import { connectionQuery } from '../connections/overviews';
import { endpointQuery } from '../endpoint/endpoints';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { LeaveGuard } from '../shell/LeaveGuard';
import { CardsSkeleton } from '../shell/OutlineSkeleton';
import { PageHeader } from '../shell/PageHeader';
import { keepAll, useDraft } from '../shell/useDraft';
import type { Choice, StreamConfig } from '../streams/streams';
import { plural, t } from '../text';
import { ConnectorStep } from './ConnectorStep';
import { FinishStep, type FinishSettings } from './FinishStep';
import { FirstSync } from './FirstSync';
import { StreamsStep } from './StreamsStep';

const route = getRouteApi('/shell/connections/new');
const PATH = '/connections/new';

interface Choices extends FinishSettings {
  streams?: [string, StreamConfig][];
}

const NOTHING: Choices = {};

export function NewConnectionPage() {
  const { workspaceId } = useWorkspace();
  const navigate = route.useNavigate();
  const params = route.useSearch();
  const source = useQuery({ ...endpointQuery('source', params.source ?? ''), enabled: !!params.source });
  const destination = useQuery({ ...endpointQuery('destination', params.destination ?? ''), enabled: !!params.destination });
  const draft = useDraft<Choices>(`connection ${params.source} ${params.destination}`, NOTHING, keepAll);
  const { streams } = draft.value;
  const choice: Choice | undefined = useMemo(() => streams && new Map(streams), [streams]);
  const created = params.created;
  const connection = useQuery({ ...connectionQuery(created ?? ''), enabled: !!created }).data;
  const step = created ? 4 : !params.source ? 0 : !params.destination ? 1 : params.step === 'schedule' && choice ? 3 : 2;
  const go = (search: typeof params, replace = false) => void navigate({ to: PATH, search, replace });
  const { source: sourceId, destination: destinationId } = params;
  const chosen = connection?.streams.length ?? choice?.size;
  const steps = [
    { label: t('Source'), note: connection?.source.name ?? source.data?.name, search: {} },
    { label: t('Destination'), note: connection?.destination.name ?? destination.data?.name, search: { source: sourceId } },
    { label: t('Streams'), note: step > 2 && chosen !== undefined ? plural(chosen, '{count} chosen', '{count} chosen') : undefined, search: { source: sourceId, destination: destinationId } },
    { label: t('Schedule'), note: undefined, search: { source: sourceId, destination: destinationId, step: 'schedule' } },
  ];
  const toSchedule = (next: Choice) => {
    draft.set({ ...draft.value, streams: [...next] });
    go({ source: sourceId, destination: destinationId, step: 'schedule' });
  };

  return (
    <>
      <PageHeader
        title={t('New connection')}
        above={
          <Breadcrumbs>
            <Anchor component={Link} to="/connections" size="sm">
              {t('Connections')}
            </Anchor>
          </Breadcrumbs>
        }
      />
      <Stack gap="lg">
        <Stepper active={step} size="sm" iconSize={32} wrap={false} onStepClick={(to) => go(steps[to]!.search)} styles={{ stepBody: { minWidth: 0 }, stepLabel: { whiteSpace: 'nowrap' } }}>
          {steps.map(({ label, note }, n) => (
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
              description={
                note && (
                  <Text span size="xs" visibleFrom="md" lineClamp={1} maw={220} title={note}>
                    {note}
                  </Text>
                )
              }
              allowStepSelect={!created && n < step}
            />
          ))}
        </Stepper>
        {!created && (
          <Text size="sm" c="dimmed" hiddenFrom="sm" mb={-12}>
            {t('Step {number} of {all}: {name}', { number: step + 1, all: steps.length, name: steps[step]!.label })}
          </Text>
        )}
        {created ? (
          <FirstSync connectionId={created} />
        ) : !workspaceId ? (
          <CardsSkeleton />
        ) : step === 0 ? (
          <Step title={t('Where does the data come from?')}>
            <ConnectorStep
              key="source"
              kind="source"
              workspaceId={workspaceId}
              connector={params.connector}
              onConnector={(connector) => go({ connector })}
              // Back leads to the sources, not to a form that would make the same one again.
              onChosen={(endpoint) => go({ source: endpoint.id }, params.connector !== undefined)}
            />
          </Step>
        ) : step === 1 ? (
          <Step title={t('Where does it go?')}>
            <ConnectorStep
              key="destination"
              kind="destination"
              workspaceId={workspaceId}
              sourceId={sourceId}
              connector={params.connector}
              onConnector={(connector) => go({ source: sourceId, connector })}
              onChosen={(endpoint) => go({ source: sourceId, destination: endpoint.id }, params.connector !== undefined)}
            />
          </Step>
        ) : source.error || destination.error ? (
          <ErrorNote error={source.error ?? destination.error} />
        ) : step === 2 ? (
          <Step title={t('Which streams, and how?')}>
            <StreamsStep
              sourceId={sourceId!}
              destination={destination.data}
              draft={choice}
              onChange={(next) => draft.set({ ...draft.value, streams: [...next] })}
              onBack={() => go({ source: sourceId })}
              onNext={toSchedule}
            />
          </Step>
        ) : (
          <Step title={t('Schedule and name')}>
            <FinishStep
              sourceId={sourceId!}
              suggestedName={`${source.data?.name ?? ''} → ${destination.data?.name ?? ''}`}
              settings={draft.value}
              onChange={(settings) => draft.set({ ...draft.value, ...settings })}
              onBack={() => go({ source: sourceId, destination: destinationId })}
              save={async (settings) => {
                const connection = await api.post<Connection>(`${PUBLIC}/connections`, {
                  sourceId,
                  destinationId,
                  configurations: { streams: [...choice!.values()] },
                  ...settings,
                });
                draft.clear();
                void queryClient.invalidateQueries();
                go({ created: connection.connectionId }, true);
              }}
            />
          </Step>
        )}
      </Stack>
      {!created && <LeaveGuard draft={draft} />}
    </>
  );
}

function Step({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Stack gap="sm">
      <Text component="h2" size="lg" fw={650} m={0}>
        {title}
      </Text>
      {children}
    </Stack>
  );
}
