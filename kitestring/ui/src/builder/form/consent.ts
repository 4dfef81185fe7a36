/** The consent of an account in a browser, as the form writes it first: its addresses, and which inputs its tokens become. */
import type { Doc, Path, Splice } from '../document/document';
import { isObject } from '../document/layout';
import { authentications } from './authentications';
import { ACCESS_TOKEN, inputsOf, TOKEN_EXPIRY, withInputs } from './inputs';

export const FLOW: Path = ['spec', 'advanced_auth'];
export const REFRESH_TOKEN = 'client_refresh_token';

const INPUT = /^\s*\{\{\s*config((?:\[\s*(['"])[^'"\]]+\2\s*\])+)\s*\}\}\s*$/;

/** The path of the input that a template reads and nothing else; without one, that of an input with this name. */
function pathOf(template: unknown, name: string): string[] {
  const keys = typeof template === 'string' ? INPUT.exec(template)?.[1] : undefined;
  return keys ? [...keys.matchAll(/['"]([^'"]+)['"]/g)].map((key) => key[1]!) : [name];
}

/** Where an authenticator keeps the tokens that it renews. */
interface Kept {
  refresh_token_config_path: string[];
  access_token_config_path: string[];
  token_expiry_date_config_path: string[];
}
/** Where it does so if it names no paths. */
const UNNAMED: Kept = {
  refresh_token_config_path: ['credentials', 'refresh_token'],
  access_token_config_path: ['credentials', 'access_token'],
  token_expiry_date_config_path: ['credentials', 'token_expiry_date'],
};

/** The `refresh_token_updater` of a consent: many vendors accept a refresh token once. */
export function updater(refreshToken: string[]): Kept {
  return { refresh_token_config_path: refreshToken, access_token_config_path: [ACCESS_TOKEN], token_expiry_date_config_path: [TOKEN_EXPIRY] };
}

const REQUEST: Path = [...FLOW, 'oauth_config_specification', 'oauth_connector_input_specification'];
const VERIFIER: Path = [...REQUEST, 'access_token_params', 'code_verifier'];
const CHALLENGE = 'code_challenge={{state_value | codeChallengeS256}}&code_challenge_method=S256';

/** Whether a consent sends the challenge of PKCE (RFC 7636), which some vendors require, and a few refuse. */
export function hasPkce(doc: Doc): boolean {
  return String(doc.get([...REQUEST, 'consent_url'])).includes('code_challenge');
}

/** The splices that let a consent use PKCE, or not. */
export function withPkce(doc: Doc, used: boolean): Splice[] {
  const url = String(doc.get([...REQUEST, 'consent_url']) ?? '');
  const [page, query = ''] = url.split(/\?(.*)/s);
  const others = query.split('&').filter((parameter) => parameter !== '' && !/^code_challenge(_method)?=/.test(parameter));
  const parameters = [...others, ...(used ? [CHALLENGE] : [])];
  const next = parameters.length > 0 ? `${page}?${parameters.join('&')}` : page;
  const verifier = used ? doc.set(VERIFIER, '{{ state_value }}') : doc.has(VERIFIER) ? doc.remove(VERIFIER) : [];
  return [...doc.set([...REQUEST, 'consent_url'], next), ...verifier];
}

/** The splices that add a consent, its inputs, and to the authenticators of its refresh token where they keep the next one. */
export function withConsent(doc: Doc): Splice[] {
  const renewing = authentications(doc).flatMap(({ path }) => {
    const value = path && doc.get(path);
    const renews = isObject(value) && value.type === 'OAuthAuthenticator' && (value.grant_type ?? 'refresh_token') === 'refresh_token';
    if (!renews) return [];
    const written = isObject(value.refresh_token_updater) ? { ...UNNAMED, ...value.refresh_token_updater } : undefined;
    return [{ path, value, written, kept: written ?? updater(pathOf(value.refresh_token, REFRESH_TOKEN)) }];
  });
  const [first] = renewing;
  const kept = first?.kept ?? updater([REFRESH_TOKEN]);
  const same = renewing.filter(({ written, kept: { refresh_token_config_path: path } }) => !written && path.join('/') === kept.refresh_token_config_path.join('/'));
  const [clientId, clientSecret] = ['client_id', 'client_secret'].map((name) => pathOf(first?.value[name], name)) as [string[], string[]];
  return [...same.flatMap(({ path }) => doc.set([...path!, 'refresh_token_updater'], kept)), ...withInputs(doc, inputsOf(kept)), ...doc.set(FLOW, flow(kept, clientId, clientSecret))];
}

function flow(kept: Kept, clientId: string[], clientSecret: string[]): Record<string, unknown> {
  const text = { type: 'string' };
  const at = (path: string[]) => ({ ...text, path_in_connector_config: path });
  const client = ['client_id', 'client_secret'];
  return {
    auth_flow_type: 'oauth2.0',
    oauth_config_specification: {
      oauth_connector_input_specification: {
        consent_url: 'https://example.com/oauth/authorize?client_id={{client_id_value}}&redirect_uri={{redirect_uri_value | urlencode}}&response_type=code&state={{state_value}}',
        access_token_url: 'https://example.com/oauth/token',
        access_token_headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        access_token_params: {
          grant_type: 'authorization_code',
          code: '{{ auth_code_value }}',
          client_id: '{{ client_id_value }}',
          client_secret: '{{ client_secret_value }}',
          redirect_uri: '{{ redirect_uri_value }}',
        },
        extract_output: ['access_token', 'refresh_token'],
      },
      complete_oauth_output_specification: {
        required: ['access_token', 'refresh_token'],
        properties: { access_token: at(kept.access_token_config_path), refresh_token: at(kept.refresh_token_config_path), token_expiry_date: at(kept.token_expiry_date_config_path) },
      },
      complete_oauth_server_input_specification: { required: client, properties: { client_id: text, client_secret: text } },
      complete_oauth_server_output_specification: { required: client, properties: { client_id: at(clientId), client_secret: at(clientSecret) } },
    },
  };
}
