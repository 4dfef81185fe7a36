/** The form of a source or destination: it is tested and then saved, and what the test finds is shown at its field. */
import { Anchor, Button, Card, Group, Loader, Stack, Text, TextInput } from '@mantine/core';
import { IconPlugConnected } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { type FocusEvent, type ReactNode, useContext, useMemo, useState } from 'react';

import { ApiError, isOvertaken } from '../api/client';
import type { CheckResult, ConnectorDetail } from '../api/schema.gen';
import { cleanValue, initialValue, label, resolveSchema, type Schema, schemaAt, type Values, validate, valueAt } from '../form/schema';
import { labelsOf, withLabels } from '../form/labels';
import { SpecForm } from '../form/SpecForm';
import { SuggestionsContext, withSuggestions } from '../form/suggestions';
import { withoutSecrets } from '../form/secrets';
import { DraftNote } from '../shell/DraftNote';
import { ErrorNote } from '../shell/ErrorNote';
import { LeaveGuard } from '../shell/LeaveGuard';
import { useDraft } from '../shell/useDraft';
import { plural, t } from '../text';
import { CheckNote } from './CheckNote';
import { Consent, ConsentOffer } from './Consent';
import { checkDraft, type EndpointKind } from './endpoints';
import { useAdvice } from './useAdvice';

export interface FormValues {
  name: string;
  configuration: Values;
  secretId?: string;
}

interface Entered {
  name: string;
  configuration: Values;
}

interface Props {
  kind: EndpointKind;
  connector: ConnectorDetail;
  workspaceId: string;
  /** The saved values, when the form changes an endpoint. */
  saved?: { id: string; name: string; configuration: Values };
  /** Save the values; `kept` says that they are, before the page is left. */
  save: (values: FormValues, kept: () => void) => Promise<unknown>;
  mayEdit?: boolean;
  /** Ask before unsaved work is left; false where the page around the form asks. */
  asksToLeave?: boolean;
  onFocusField?: (path: string) => void;
  children?: ReactNode;
}

type Action = 'test' | 'test and save' | 'save';
const FIELD = 'field-';
const NAME = `${FIELD}name-of-it`;

/** Problems that the server found, with the values that it found them in: they go when the field is edited. */
interface Refusal {
  problems: Record<string, string>;
  configuration: Values;
}

export function EndpointForm({ kind, connector, workspaceId, saved, save, mayEdit = true, asksToLeave = true, onFocusField, children }: Props) {
  const schema = useMemo(() => resolveSchema(connector.spec), [connector.spec]);
  const labels = useMemo(() => labelsOf(schema), [schema]);
  const suggestions = useContext(SuggestionsContext);
  const initial = useMemo<Entered>(
    () =>
      saved
        ? { name: saved.name, configuration: saved.configuration }
        : { name: connector.name, configuration: withSuggestions(schema, (initialValue(schema, true, connector.suggested) ?? {}) as Values, suggestions) },
    [saved, connector, schema, suggestions],
  );
  const draft = useDraft<Entered>(`${kind} ${saved?.id ?? `new ${connector.definitionId}`}`, initial, (entered) => ({
    ...entered,
    configuration: withoutSecrets(entered.configuration, schema),
  }));
  const { name, configuration: value } = draft.value;
  const setName = (next: string) => draft.set((entered) => ({ ...entered, name: next }));
  const setValue = (next: Values) => draft.set((entered) => ({ ...entered, configuration: next }));
  const [submitted, setSubmitted] = useState(false);
  const [visited, setVisited] = useState<ReadonlySet<string>>(new Set());
  const [secretId, setSecretId] = useState<string>();
  const [result, setResult] = useState<CheckResult>();
  const [refusal, setRefusal] = useState<Refusal>();
  const consented = secretId !== undefined;
  const advice = useAdvice(kind, connector, workspaceId, saved?.id, value, mayEdit);

  const invalid = useMemo(() => (consented ? {} : validate(schema, value)), [consented, schema, value]);
  const errors = useMemo(() => {
    const visible = Object.entries(invalid).filter(([path]) => submitted || (visited.has(path) && !isEmpty(valueAt(value, path))));
    const refused = Object.entries(refusal?.problems ?? {}).filter(([path]) => valueAt(value, path) === valueAt(refusal!.configuration, path));
    return Object.fromEntries([...refused, ...visible]);
  }, [invalid, submitted, visited, value, refusal]);

  const configuration = () => cleanValue(schema, value) as Values;
  const renamedOnly = saved !== undefined && JSON.stringify(configuration()) === JSON.stringify(cleanValue(schema, saved.configuration));

  function refuse(problems: Record<string, string>): void {
    setRefusal({ problems, configuration: value });
    const [first] = Object.keys(problems);
    if (first !== undefined) focusField(first);
  }

  const submitting = useMutation({
    mutationFn: async (action: Action) => {
      setResult(undefined);
      setRefusal(undefined);
      if (action !== 'save') {
        const tested = await checkDraft(kind, { workspaceId, definitionId: connector.definitionId, id: saved?.id, configuration: configuration() });
        setResult(tested);
        if (tested.status === 'failed') return refuse(tested.problems ?? {});
        if (action === 'test') return;
      }
      await save({ name: name.trim(), configuration: configuration(), secretId }, draft.clear);
      if (!saved) return;
      setResult(undefined);
      setSubmitted(false);
      setSecretId(undefined);
    },
    onError: (error) => {
      if (error instanceof ApiError) refuse((error.data.problems ?? {}) as Record<string, string>);
    },
  });

  /** Start an action, or move the focus to the first invalid field. */
  function submit(action: Action): void {
    setSubmitted(true);
    if (name.trim() === '') return focusField('name-of-it');
    const [first] = Object.keys(invalid);
    if (first !== undefined) focusField(first);
    else submitting.mutate(action);
  }

  const primary: Action = consented || renamedOnly ? 'save' : 'test and save';
  const count = Object.keys(errors).length;
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!submitting.isPending) submit(primary);
      }}
      onFocus={(event) => onFocusField?.(pathOf(event))}
      onBlur={(event) => {
        const path = pathOf(event);
        if (path && !visited.has(path)) setVisited(new Set([...visited, path]));
      }}
    >
      {mayEdit && asksToLeave && <LeaveGuard draft={draft} />}
      <Stack>
        {saved && <DraftNote draft={draft} label={(path) => labelOf(schema, path)} />}
        {draft.isRestored && draft.isChanged && !draft.isOvertaken && (
          <Group gap="xs">
            <Text size="sm" c="dimmed">
              {t('Your earlier input was restored, except secrets.')}
            </Text>
            <Anchor component="button" type="button" size="sm" onClick={draft.reset}>
              {t('Start again')}
            </Anchor>
          </Group>
        )}
        <Card withBorder padding="lg">
          <Stack>
            <TextInput
              id={NAME}
              label={t('Name')}
              description={kind === 'source' ? t('The name of this source in Kitestring.') : t('The name of this destination in Kitestring.')}
              withAsterisk
              required
              value={name}
              error={submitted && name.trim() === '' ? t('This field is required.') : undefined}
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
                advice={advice}
                onChange={(next) => {
                  setValue(next);
                  setResult(undefined);
                }}
              />
            </fieldset>
            {kind === 'source' && mayEdit && <ConsentOffer connector={connector} workspaceId={workspaceId} />}
          </Stack>
        </Card>
        <div aria-live="polite">
          {submitting.isPending && (
            <Group gap="xs">
              <Loader size={14} aria-hidden />
              <Text size="sm">
                {result?.status === 'succeeded' || submitting.variables === 'save'
                  ? t('Saving…')
                  : t('Connecting with {connector}…', { connector: connector.name })}
              </Text>
            </Group>
          )}
          {result && !submitting.isPending && (
            <CheckNote
              result={result}
              words={(text) => withLabels(text, labels)}
              atField={Object.keys(result.problems ?? {}).some((path) => document.getElementById(FIELD + path))}
              onSaveAnyway={submitting.variables === 'test and save' ? () => submit('save') : undefined}
            />
          )}
          {submitting.error && !submitting.isPending && !(isOvertaken(submitting.error) && draft.isOvertaken) && <ErrorNote error={submitting.error} />}
          {count > 0 && !submitting.isPending && !result && (
            <Text size="sm" c="var(--mantine-color-error)">
              {plural(count, 'One field needs your attention.', '{count} fields need your attention.')}
            </Text>
          )}
        </div>
        {mayEdit && (
          <Group justify="space-between">
            <Group gap="sm">{children}</Group>
            <Group gap="sm">
              {saved && (
                <Button
                  variant="default"
                  leftSection={<IconPlugConnected size={16} aria-hidden />}
                  loading={submitting.isPending && submitting.variables === 'test'}
                  disabled={submitting.isPending}
                  onClick={() => submit('test')}
                >
                  {t('Test')}
                </Button>
              )}
              <Button type="submit" loading={submitting.isPending && submitting.variables !== 'test'} disabled={submitting.isPending}>
                {primary === 'save' ? t('Save') : t('Test and save')}
              </Button>
            </Group>
          </Group>
        )}
      </Stack>
    </form>
  );
}

/** The words for the path of a value of the form. */
function labelOf(schema: Schema, path: string): string {
  const [first, ...rest] = path.split('.');
  if (first === 'name' && rest.length === 0) return t('Name');
  const field = schemaAt(schema, rest.join('.'));
  return field ? label(rest.at(-1) ?? '', field) : path;
}

/** Move the focus to a field, or to the nearest one around it. Optional settings open first. */
function focusField(path: string): void {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      for (let place = path; place; place = place.includes('.') ? place.slice(0, place.lastIndexOf('.')) : '') {
        const field = document.getElementById(FIELD + place);
        if (field) return field.focus();
      }
    }),
  );
}

/** The path of the field of an event (`credentials.api_token`); empty for the name and for buttons. */
function pathOf(event: FocusEvent): string {
  const { id } = event.target;
  return id.startsWith(FIELD) && id !== NAME ? id.slice(FIELD.length) : '';
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
}
