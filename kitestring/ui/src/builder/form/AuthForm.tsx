/** The authentication of a connector's requests: its kind, its fields, and the streams that use it. */
import { Button, Card, Group, Select, Stack, Switch, Text } from '@mantine/core';

import { plural, t } from '../../text';
import { componentTitle, type Language } from '../document/language';
import { type Authentication, authenticated, authenticatedLike, authentications } from './authentications';
import { ComponentFields, FormScope } from './ComponentForm';
import { FLOW, hasPkce, REFRESH_TOKEN, updater, withConsent, withPkce } from './consent';
import { type FormProps, useField, useForm } from './context';
import { inputsOf, inputsOnlyAt, withInputs } from './inputs';
import { newComponent } from './kinds';
import { Section } from './Section';
import { UnreadInputs } from './UnreadInputs';

/** OAuth without an account: the application itself gets the token. */
const CLIENT_CREDENTIALS = 'OAuthAuthenticator client_credentials';
/** The kinds in the order in which APIs have them. */
const KINDS = ['BearerAuthenticator', 'ApiKeyAuthenticator', 'BasicHttpAuthenticator', 'OAuthAuthenticator', CLIENT_CREDENTIALS, 'SessionTokenAuthenticator', 'JwtAuthenticator', 'SelectiveAuthenticator', 'RateLimitedMultipleTokenAuthenticator'];

/** The whole connector, or one requester's `authenticator` with a `path`. */
export function AuthForm({ path, ...form }: Omit<FormProps, 'path'> & { path?: FormProps['path'] }) {
  return <FormScope {...form}>{path ? <AuthFields path={path} /> : <Authentications />}</FormScope>;
}

function Authentications() {
  const { doc, edit, disabled } = useForm();
  const places = authentications(doc);
  const used = places.filter((place) => place.path !== undefined);
  const bare = places.find((place) => place.path === undefined);
  if (places.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t('There are no streams yet. Add one, then say how its requests are authenticated.')}
      </Text>
    );
  }
  return (
    <Stack gap="md">
      {used.map((place) => (
        <Card key={place.path!.join('/')} withBorder padding="sm" component="section" aria-label={t('Authentication of {streams}', { streams: summary(place) })}>
          {places.length > 1 && (
            <Text size="sm" c="dimmed" mb="xs">
              {t('For {streams}', { streams: summary(place) })}
            </Text>
          )}
          <AuthFields path={place.path!} shared={place} />
        </Card>
      ))}
      {bare && (
        <Card withBorder padding="sm" component="section" aria-label={t('Without authentication')}>
          {used.length > 0 && (
            <Group justify="space-between" mb="xs">
              <Text size="sm" c="dimmed">
                {t('Without authentication: {streams}', { streams: summary(bare) })}
              </Text>
              <Button size="xs" variant="default" disabled={disabled} onClick={() => edit(authenticatedLike(doc, bare.requesters, used[0]!.path!))}>
                {t('Authenticate them like the others')}
              </Button>
            </Group>
          )}
          <KindSelect value={undefined} place={bare} />
        </Card>
      )}
      {used.some((place) => doc.get([...place.path!, 'type']) === 'OAuthAuthenticator') && <Consent />}
      <UnreadInputs />
    </Stack>
  );
}

function summary({ streams }: Authentication): string {
  if (streams.length <= 3) return streams.join(', ');
  return plural(streams.length - 2, '{streams} and {count} more', '{streams} and {count} more', { streams: streams.slice(0, 2).join(', ') });
}

function AuthFields({ path, shared }: { path: FormProps['path']; shared?: Authentication }) {
  const { doc } = useForm();
  const type = doc.get([...path, 'type']);
  const isOwn = type === 'OAuthAuthenticator' && doc.get([...path, 'grant_type']) === 'client_credentials';
  const kind = isOwn ? CLIENT_CREDENTIALS : typeof type === 'string' ? type : undefined;
  return (
    <Stack gap="sm">
      <KindSelect value={kind} path={path} place={shared} />
      {typeof type === 'string' && type !== 'NoAuth' && <ComponentFields path={path} />}
    </Stack>
  );
}

function KindSelect({ value, path, place }: { value: string | undefined; path?: FormProps['path']; place?: Authentication }) {
  const { doc, schema, edit } = useForm();
  const field = useField(path ?? ['definitions', 'authenticator']);
  const names = value === undefined || value === 'NoAuth' || KINDS.includes(value) ? KINDS : [value, ...KINDS];
  return (
    <Select
      label={t('Kind')}
      maw={420}
      disabled={field.disabled}
      error={path && field.error}
      allowDeselect={false}
      data={[{ value: 'NoAuth', label: t('None') }, ...names.map((name) => ({ value: name, label: name === CLIENT_CREDENTIALS ? t('OAuth (client credentials)') : t(componentTitle(name, schema.component(name))) }))]}
      value={value ?? 'NoAuth'}
      onChange={(next) => {
        if (next === null || next === value || (next === 'NoAuth' && value === undefined)) return;
        const authenticator = authenticatorOf(schema, next, doc.get(FLOW) !== undefined);
        if (path) return edit([...doc.set(path, authenticator), ...withInputs(doc, inputsOf(authenticator), true, inputsOnlyAt(doc, path))]);
        if (place) edit(authenticated(doc, place.requesters, authenticator));
      }}
    />
  );
}

/** An authenticator of a kind, with what it needs. */
export function authenticatorOf(schema: Language, kind: string, consents: boolean): Record<string, unknown> {
  if (kind !== CLIENT_CREDENTIALS) return completed(newComponent(schema, kind), consents);
  const { refresh_token: _, refresh_token_updater: __, ...own } = completed(newComponent(schema, 'OAuthAuthenticator'), false);
  return { ...own, grant_type: 'client_credentials' };
}

/** With templates for the inputs that such an authenticator has; `consents`: its tokens come from a consent. */
function completed(authenticator: Record<string, unknown>, consents: boolean): Record<string, unknown> {
  if (authenticator.type === 'OAuthAuthenticator') {
    return {
      ...authenticator,
      client_id: "{{ config['client_id'] }}",
      client_secret: "{{ config['client_secret'] }}",
      refresh_token: `{{ config['${REFRESH_TOKEN}'] }}`,
      token_refresh_endpoint: 'https://',
      ...(consents && { refresh_token_updater: updater([REFRESH_TOKEN]) }),
    };
  }
  if (authenticator.type === 'JwtAuthenticator') return { ...authenticator, secret_key: "{{ config['secret_key'] }}", algorithm: 'HS256' };
  return authenticator;
}

/** Consent in a browser: the addresses, and which inputs the tokens become. */
function Consent() {
  const { doc, edit, disabled } = useForm();
  const exists = doc.get(FLOW) !== undefined;
  return (
    <Section title={t('Consent in the browser')} gist={exists ? t('Set up') : t('None')}>
      {exists ? (
        <Stack gap="sm">
          <Switch
            label={t('PKCE (S256)')}
            description={t('Some vendors require it. Leave it off for a vendor that refuses parameters which it does not know.')}
            disabled={disabled}
            checked={hasPkce(doc)}
            onChange={(event) => edit(withPkce(doc, event.currentTarget.checked))}
          />
          <ComponentFields path={[...FLOW, 'oauth_config_specification', 'oauth_connector_input_specification']} />
          <ComponentFields path={FLOW} />
        </Stack>
      ) : (
        <Stack gap="xs" align="flex-start">
          <Text size="sm" c="dimmed">
            {t('An account then gives its consent on the page of the vendor, and the tokens become inputs.')}
          </Text>
          <Button size="xs" variant="default" disabled={disabled || !doc.has(['spec'])} onClick={() => edit(withConsent(doc))}>
            {t('Add consent')}
          </Button>
        </Stack>
      )}
    </Section>
  );
}
