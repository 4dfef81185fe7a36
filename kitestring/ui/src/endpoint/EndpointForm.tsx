/** The form of a source or destination: name, configuration, check and save. */
import { Alert, Button, Card, Group, Stack, Text, TextInput } from '@mantine/core';
import { IconCircleCheck, IconKey, IconPlugConnected } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect, useMemo, useState } from 'react';

import { api, OWN } from '../api/client';
import type { CheckResult, ConnectorDetail, ConsentRead, ConsentVendors } from '../api/schema.gen';
import { cleanValue, initialValue, resolveSchema, type Values, validate } from '../form/schema';
import { SpecForm } from '../form/SpecForm';
import { ErrorNote } from '../shell/ErrorNote';
import { type EndpointKind, checkDraft } from './endpoints';
import { CONSENT_CHANNEL } from './consentChannel';

export interface FormValues {
  name: string;
  configuration: Values;
  secretId?: string;
}

interface Props {
  kind: EndpointKind;
  connector: ConnectorDetail;
  workspaceId: string;
  /** The saved values, when the form changes an endpoint. */
  saved?: { id: string; name: string; configuration: Values };
  save: (values: FormValues) => Promise<unknown>;
  action: string;
  mayEdit?: boolean;
  children?: ReactNode;
}

export function EndpointForm({ kind, connector, workspaceId, saved, save, action, mayEdit = true, children }: Props) {
  const schema = useMemo(() => resolveSchema(connector.spec), [connector.spec]);
  const [name, setName] = useState(saved?.name ?? connector.name);
  const [value, setValue] = useState<Values>(() => saved?.configuration ?? ((initialValue(schema) ?? {}) as Values));
  const [submitted, setSubmitted] = useState(false);
  const [secretId, setSecretId] = useState<string>();
  const consented = secretId !== undefined;
  const errors = useMemo(
    () => (submitted && !consented ? validate(schema, value) : {}),
    [submitted, consented, schema, value],
  );

  const configuration = () => cleanValue(schema, value) as Values;
  const checking = useMutation<CheckResult>({
    mutationFn: () =>
      checkDraft(kind, { workspaceId, definitionId: connector.definitionId, id: saved?.id, configuration: configuration() }),
  });
  const saving = useMutation({ mutationFn: () => save({ name: name.trim(), configuration: configuration(), secretId }) });

  /** Return whether the form is valid; otherwise move the focus to the first invalid field. */
  function validateForm(): boolean {
    setSubmitted(true);
    const [first] = consented ? [] : Object.keys(validate(schema, value));
    if (name.trim() === '') {
      document.getElementById('field-name-of-it')?.focus();
      return false;
    }
    if (first === undefined) return true;
    // The optional settings open first.
    requestAnimationFrame(() => document.getElementById(`field-${first}`)?.focus());
    return false;
  }

  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (validateForm()) saving.mutate();
      }}
    >
      <Stack>
        <Card withBorder padding="lg">
          <Stack>
            <TextInput
              id="field-name-of-it"
              label="Name"
              description={`The name of this ${kind} in Kitestring.`}
              withAsterisk
              required
              value={name}
              error={submitted && name.trim() === '' ? 'This field is required.' : undefined}
              disabled={!mayEdit}
              onChange={(event) => setName(event.currentTarget.value)}
            />
            {kind === 'source' && mayEdit && (
              <Consent
                connector={connector}
                workspaceId={workspaceId}
                sourceId={saved?.id}
                configuration={configuration}
                onDone={(id) => setSecretId(id)}
                done={consented}
              />
            )}
            <fieldset disabled={!mayEdit} style={{ border: 0, padding: 0, margin: 0, minWidth: 0 }}>
              <SpecForm
                schema={schema}
                value={value}
                errors={errors}
                onChange={(next) => {
                  setValue(next);
                  checking.reset();
                }}
              />
            </fieldset>
          </Stack>
        </Card>
        <div aria-live="polite">
          {checking.data && <CheckResult result={checking.data} />}
          {checking.error && <ErrorNote error={checking.error} />}
          {saving.error && <ErrorNote error={saving.error} />}
          {Object.keys(errors).length > 0 && (
            <Text size="sm" c="var(--mantine-color-error)">
              {Object.keys(errors).length === 1 ? 'One field needs' : `${Object.keys(errors).length} fields need`} your attention.
            </Text>
          )}
        </div>
        {mayEdit && (
          <Group justify="space-between">
            <Group gap="sm">{children}</Group>
            <Group gap="sm">
              <Button
                variant="default"
                leftSection={<IconPlugConnected size={16} aria-hidden />}
                loading={checking.isPending}
                disabled={consented}
                onClick={() => validateForm() && checking.mutate()}
              >
                Check
              </Button>
              <Button type="submit" loading={saving.isPending}>
                {action}
              </Button>
            </Group>
          </Group>
        )}
      </Stack>
    </form>
  );
}

export function CheckResult({ result }: { result: CheckResult }) {
  if (result.status === 'succeeded')
    return (
      <Alert color="green" variant="light" role="status" icon={<IconCircleCheck aria-hidden />} title="It works">
        <Text size="sm">Connected, and the credentials were accepted.</Text>
      </Alert>
    );
  return (
    <Alert color="red" variant="light" role="alert" title={result.message || 'The check failed'}>
      {result.hint && (
        <Text size="sm" c="var(--mantine-color-text)">
          {result.hint}
        </Text>
      )}
    </Alert>
  );
}

/** OAuth consent at the vendor, for sources that support it: opens in a popup, which reports the result. */
function Consent({
  connector,
  workspaceId,
  sourceId,
  configuration,
  onDone,
  done,
}: {
  connector: ConnectorDetail;
  workspaceId: string;
  sourceId?: string;
  configuration: () => Values;
  onDone: (secretId: string | undefined) => void;
  done: boolean;
}) {
  const vendors = useQuery({
    queryKey: ['consents'],
    queryFn: () => api.get<ConsentVendors>(`${OWN}/consents`),
    staleTime: 300_000,
  });
  const vendor = vendors.data?.data.find((candidate) => candidate.connector === connector.connector);
  const [renewed, setRenewed] = useState(false);
  const [started, setStarted] = useState(false);
  useEffect(() => {
    // Every page of this browser receives the message: only the page that started the consent uses it.
    if (!started) return;
    const channel = new BroadcastChannel(CONSENT_CHANNEL);
    channel.onmessage = (event: MessageEvent<{ secretId?: string }>) => {
      if (sourceId) setRenewed(true);
      else onDone(event.data.secretId);
    };
    return () => channel.close();
  }, [started, onDone, sourceId]);
  const begin = useMutation({
    mutationFn: async () => {
      setStarted(true);
      // Opened before any await: browsers allow a popup from a click, not from a response.
      const popup = window.open('', '_blank', 'popup,width=720,height=820');
      try {
        const { consentUrl } = await api.post<ConsentRead>(`${OWN}/consents`, {
          ...(sourceId ? { sourceId } : { workspaceId, connector: connector.connector }),
          configuration: sourceId ? {} : configuration(),
          redirectUrl: `${window.location.origin}/consented`,
        });
        if (popup) popup.location.href = consentUrl;
        else window.location.href = consentUrl;
      } catch (error) {
        popup?.close();
        throw error;
      }
    },
  });
  if (!vendor) return null;
  return (
    <Alert variant="light" color="kite" icon={<IconKey aria-hidden />} title={`Grant access at ${connector.name}`}>
      <Stack gap="xs" align="flex-start">
        <Text size="sm">
          {done || renewed
            ? 'Access granted. ' + (done ? `Save the source to keep it; the credentials below are not required.` : 'The new tokens are saved.')
            : `Sign in at ${connector.name} instead of entering a token${vendor.needs.length ? `; enter ${vendor.needs.join(', ')} below first` : ''}.`}
        </Text>
        {begin.error && <ErrorNote error={begin.error} />}
        <Button size="xs" variant={done || renewed ? 'default' : 'filled'} loading={begin.isPending} onClick={() => begin.mutate()}>
          {done || renewed ? 'Grant access again' : 'Grant access'}
        </Button>
      </Stack>
    </Alert>
  );
}
